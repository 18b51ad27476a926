// SPDX-License-Identifier: Apache-2.0
// Both windows to configuration space, functions that come and go, resets and states, and the
// registers of pci-testdev and hot-plug, in any order.
#include "fuzz.h"
#include "pci.h"
#include "pcihp.h"
#include "pcitest.h"

#define FUNCS 3u

static const uint32_t places[FUNCS] = { 0x00, 0x08, 0x0b };

struct rig {
	struct dev changed, reset;
	struct pci_root *root;
	struct pci_func *func[FUNCS];
	struct pcihp *hotplug;
	struct pcitest *test;
	uint64_t changes, hooks;
};

static int changed(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t value)
{
	struct rig *r = container_of(d, struct rig, changed);

	MUST(!region && offset < PCI_FUNCTIONS && size == 4 && !value);
	r->changes++;
	return 0;
}

static int reset_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	(void)d;
	MUST(region == 3 && !offset && size == 1);
	*ret = 0x55;
	return 0;
}

static int reset_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	return reset_read(d, region, offset, size, &value);
}

static const struct dev_ops changed_ops = { .write = changed };
static const struct dev_ops reset_ops = { .read = reset_read, .write = reset_write };

// Inside a hook the owner may read and write its registers.
static void hook(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct rig *r = opaque;

	r->hooks++;
	MUST(size && offset + size <= PCI_CONFIG_SIZE);
	pci_set(f, 0x44, 2, pci_get(f, 0x42, 2));
}

static const struct pci_cap_ops cap_ops = { .reading = hook, .written = hook };

static struct pci_func *make(struct rig *r, uint32_t n)
{
	const struct pci_ident ident = { 0x1b36, (uint16_t)n, 1, 2, 0xff0000, 0, 1 };
	struct pci_func *f = pci_func_create(&ident);

	MUST(f && pci_add_capability(f, 9, 8, &cap_ops, r) == 0x40);
	pci_set_wmask(f, 0x42, 2, 0xffff);
	if (n) {
		MUST(!pci_add_bar(f, 0, PCI_BAR_MEM64, UINT64_C(1) << (12 * n), true));
		MUST(!pci_add_bar(f, 2, PCI_BAR_IO, 4u << n, false));
		MUST(!pci_add_bar(f, PCI_ROM, PCI_BAR_EXPANSION, 2048, false));
		MUST(pci_add_ext_capability(f, 3, 1, 12, n > 1 ? &cap_ops : NULL, r) == 256);
	}
	return f;
}

// What no access may ever change, and where registers may point.
static void look(struct pci_func *f, uint32_t n)
{
	uint64_t bars[PCI_BARS];

	MUST(pci_get(f, PCI_VENDOR_ID, 4) == (0x1b36u | n << 16));
	MUST(pci_get(f, PCI_CAPABILITY_LIST, 1) == 0x40 && pci_get(f, 0x40, 1) == 9);
	pci_bars(f, bars);
	for (uint32_t i = 0; i < PCI_BARS; i++) {
		MUST(bars[i] == PCI_UNMAPPED || !(bars[i] & (f->bar[i].size - 1)));
		MUST(bars[i] == PCI_UNMAPPED || f->bar[i].kind != PCI_BAR_NONE);
	}
}

// As the bus does it: no lock is held.
static void window(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t region = how >> 3 & 1, size = 1u << (how >> 1 & 3);
	uint64_t value = UINT64_MAX, offset;

	if (region == PCI_PORTS) {
		size = size > 4 ? 4 : size;
		offset = take(in, 1) % (8 - size + 1);
	} else {
		offset = (uint64_t)places[(how >> 4) % FUNCS] << 12;
		offset = how & 0x80 ? take(in, 3) % (0x100000 - 8) : offset + take(in, 2) % 0x1000;
	}
	if (how & 1)
		MUST(!r->root->dev.ops->read(&r->root->dev, region, offset, size, &value));
	else
		MUST(!r->root->dev.ops->write(&r->root->dev, region, offset, size, take(in, size)));
}

static void come_or_go(struct rig *r, struct input *in)
{
	uint32_t n = (uint32_t)take(in, 1) % FUNCS;

	if (r->func[n]) {
		pci_unplug(r->func[n]);
		pci_func_destroy(r->func[n]);
		r->func[n] = NULL;
		return;
	}
	r->func[n] = make(r, n);
	MUST(!pci_plug(r->root, r->func[n], places[n]));
}

static void state(struct rig *r, struct input *in)
{
	struct pci_func *f = r->func[take(in, 1) % FUNCS];

	FUZZ_STATE(pci_root, r->root, in);
	FUZZ_STATE(pcihp, r->hotplug, in);
	FUZZ_STATE(pcitest, r->test, in);
	if (f)
		FUZZ_STATE(pci_func, f, in);
	if (f && take(in, 1) & 1)
		pci_func_reset(f);
}

static void one_step(struct rig *r, struct input *in)
{
	const struct registers hotplug = { &r->hotplug->dev, 1, PCIHP_SIZE, 8 };
	const struct registers test = { &r->test->dev, 2, PCITEST_PORTS_SIZE, 1 };

	switch (take(in, 1) % 16) {
	case 0:
		come_or_go(r, in);
		break;
	case 1:
		state(r, in);
		break;
	case 2:
		access_registers(in, &hotplug);
		break;
	case 3:
		access_registers(in, &test);
		break;
	case 4: {
		struct pci_func *f = r->func[take(in, 1) % FUNCS];
		if (f)
			pci_intx_set(f, take(in, 1) & 1);
		break;
	}
	default:
		window(r, in);
	}
	for (uint32_t n = 0; n < FUNCS; n++)
		if (r->func[n])
			look(r->func[n], n);
	MUST(r->changes == count_get(&r->root->changes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig r = { .hotplug = pcihp_create(), .test = pcitest_create() };

	dev_init(&r.changed, &changed_ops, DEV_UPCALL);
	dev_init(&r.reset, &reset_ops, 0);
	r.root = pci_root_create(&r.reset, 3, &r.changed, NULL);
	MUST(r.hotplug && r.test && r.root);
	for (uint32_t n = 0; n < FUNCS; n++) {
		r.func[n] = make(&r, n);
		MUST(!pci_plug(r.root, r.func[n], places[n]));
	}
	while (in.left)
		one_step(&r, &in);
	for (uint32_t n = 0; n < FUNCS; n++) {
		if (!r.func[n])
			continue;
		pci_unplug(r.func[n]);
		pci_func_destroy(r.func[n]);
	}
	pci_root_destroy(r.root);
	pcihp_destroy(r.hotplug);
	pcitest_destroy(r.test);
	return 0;
}
