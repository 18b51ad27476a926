// SPDX-License-Identifier: Apache-2.0
// Writers on several threads move and switch base address registers through configuration space,
// each write followed by what Python does in its place: claims that follow the registers. Readers
// access the window meanwhile and find a function where it is, or nobody. One function comes and
// goes; its pin is raised by yet another thread. In the end every claim is where the registers say.
#include <sched.h>
#include <stdatomic.h>

#include "bus.h"
#include "check.h"
#include "pci.h"

#define FUNCS 3u // with registers, in slots 1 to 3; the one in slot 4 comes and goes
#define VISITOR 32u
#define ECAM 0x100000u
#define WINDOW 0x200000u // places for registers: PLACES of SIZE bytes
#define PLACES 8u
#define SIZE 0x1000u
#define ROUNDS 4000
#define READERS 2
#define CAP_OFFSET 0x40u

struct func {
	struct dev dev; // answers in the register
	struct pci_func *f;
	uint64_t at; // where it is claimed; topology guards it
	uint64_t accesses; // plain: the device's lock guards it
	uint64_t hooks; // plain: the root's lock guards it
};

static struct bus *bus;
static struct pci_root *root;
static struct func func[FUNCS];
static pthread_mutex_t topology = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool done;
static _Atomic uint64_t hits, misses, refused;

static int bar_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct func *fn = container_of(d, struct func, dev);

	CHECK(region == 7 && offset + size <= SIZE);
	fn->accesses++;
	// What a device does at any time, with its own lock held.
	pci_intx_set(fn->f, fn->accesses & 1);
	*ret = (uint64_t)(fn - func) << 32 | (pci_bus_master(fn->f) ? 1u : 0u);
	return 0;
}

static int bar_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t value)
{
	(void)value;
	return bar_read(d, region, offset, size, &value);
}

static const struct dev_ops bar_ops = { .read = bar_read, .write = bar_write };

static void hook(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct func *fn = opaque;

	CHECK(fn->f == f && offset < CAP_OFFSET + 8 && offset + size > CAP_OFFSET);
	fn->hooks++;
	pci_set(f, CAP_OFFSET + 4, 4, fn->hooks);
}

static const struct pci_cap_ops cap_ops = { .reading = hook, .written = hook };

// A place that is taken or not in the window is refused, as Python refuses it.
static void follow(struct func *fn)
{
	uint64_t wanted[PCI_BARS], to;

	pci_bars(fn->f, wanted);
	to = wanted[0];
	if (to == fn->at)
		return;
	bool fits = to >= WINDOW && to < WINDOW + PLACES * SIZE;
	if (fits && fn->at != PCI_UNMAPPED && !bus_move(bus, fn->at, SIZE, to)) {
		fn->at = to;
		return;
	}
	if (fn->at != PCI_UNMAPPED)
		CHECK(!bus_release(bus, fn->at, SIZE));
	fn->at = fits && !bus_claim(bus, to, SIZE, &fn->dev, 7) ? to : PCI_UNMAPPED;
	if (fn->at == PCI_UNMAPPED && to != PCI_UNMAPPED)
		atomic_fetch_add(&refused, 1);
}

// One that left may have made a place for one that was refused.
static int changed(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t value)
{
	(void)d, (void)region, (void)size, (void)value;
	CHECK(offset % 8 == 0 && offset && offset <= VISITOR && bus_inside(bus));
	if (offset == VISITOR)
		return 0; // may have left already; no claims follow its register
	LOCKED(&topology);
	follow(&func[offset / 8 - 1]);
	for (uint32_t i = 0; i < FUNCS; i++)
		follow(&func[i]);
	return 0;
}

static const struct dev_ops changed_ops = { .write = changed };

static void configure(struct bus_reader *r, unsigned int *seed)
{
	static const uint32_t sizes[] = { 1, 2, 4, 8 };
	uint64_t base = ECAM + ((uint64_t)(1 + rand_r(seed) % (FUNCS + 1)) << 15);
	uint32_t size = sizes[rand_r(seed) % 4];
	uint64_t value = 0;

	switch (rand_r(seed) % 5) {
	case 0:
		value = WINDOW + (uint64_t)rand_r(seed) % (PLACES + 1) * SIZE;
		CHECK(!bus_write(bus, r, base + PCI_BASE_ADDRESS_0, 4, value));
		break;
	case 1:
		CHECK(!bus_write(bus, r, base + PCI_COMMAND, 2, (uint64_t)rand_r(seed)));
		break;
	case 2:
		value = CAP_OFFSET - 4 + (uint64_t)rand_r(seed) % 16;
		CHECK(!bus_write(bus, r, base + value, size, (uint64_t)rand_r(seed)));
		break;
	case 3:
		value = (uint64_t)rand_r(seed) % 0xff8;
		CHECK(!bus_write(bus, r, base + value, size, (uint64_t)rand_r(seed)));
		break;
	default:
		value = (uint64_t)rand_r(seed) % 0xff8;
		CHECK(!bus_read(bus, r, base + value, size, &value));
	}
}

static void *writer(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;
	struct bus_reader r;

	CHECK(!bus_add_reader(bus, &r));
	bus_reader_bind(&r);
	for (int i = 0; i < ROUNDS; i++) {
		configure(&r, &seed);
		if (i % 64 == 63)
			sched_yield();
	}
	bus_remove_reader(bus, &r);
	return NULL;
}

static void *reader(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;
	struct bus_reader r;

	CHECK(!bus_add_reader(bus, &r));
	bus_reader_bind(&r);
	for (unsigned int i = 0; !atomic_load(&done); i++) {
		uint64_t at = WINDOW + (uint64_t)rand_r(&seed) % (PLACES * SIZE - 8), value = 0;
		if (rand_r(&seed) % 4)
			CHECK(!bus_read(bus, &r, at, 8, &value));
		else
			CHECK(!bus_write(bus, &r, at, 4, value));
		atomic_fetch_add(value == UINT64_MAX ? &misses : &hits, 1);
		if (i % 64 == 63)
			sched_yield();
	}
	bus_remove_reader(bus, &r);
	return NULL;
}

static struct pci_func *make(void *opaque)
{
	const struct pci_ident ident = { .vendor = 0x1b36, .device = 5, .pin = 1 };
	struct pci_func *f = pci_func_create(&ident);

	CHECK(f && !pci_add_bar(f, 0, PCI_BAR_MEM32, SIZE, false));
	CHECK(pci_add_capability(f, 9, 8, opaque ? &cap_ops : NULL, opaque) == CAP_OFFSET);
	pci_set_wmask(f, CAP_OFFSET + 2, 6, UINT64_MAX);
	return f;
}

static void *visitor(void *opaque)
{
	struct irq_hub *hub = opaque;

	while (!atomic_load(&done)) {
		struct pci_func *f = make(NULL), *second = make(NULL);
		pci_intx_connect(f, hub, 17, IRQ_HUB_GSIS);
		CHECK(!pci_plug(root, second, VISITOR + 1));
		CHECK(pci_plug(root, f, VISITOR + 1) == -EBUSY && !pci_plug(root, f, VISITOR));
		pci_intx_set(f, true);
		sched_yield();
		pci_unplug(second);
		pci_unplug(f);
		pci_func_destroy(second);
		pci_func_destroy(f);
	}
	return NULL;
}

static void at_the_end(void)
{
	for (uint32_t i = 0; i < FUNCS; i++) {
		uint64_t wanted[PCI_BARS];
		pci_bars(func[i].f, wanted);
		for (uint32_t k = 0; k < FUNCS; k++)
			follow(&func[k]);
		CHECK(func[i].at == wanted[0] || func[i].at == PCI_UNMAPPED);
		struct pci_func_state state;
		pci_func_save(func[i].f, &state);
		CHECK(!pci_func_load(func[i].f, &state));
	}
	for (uint32_t i = 0; i < FUNCS; i++) {
		if (func[i].at != PCI_UNMAPPED)
			CHECK(!bus_release(bus, func[i].at, SIZE));
		pci_unplug(func[i].f);
		pci_func_destroy(func[i].f);
	}
}

int main(void)
{
	struct dev listener;
	pthread_t thread[READERS + 3];
	struct irq_hub *hub = irq_hub_create();

	CHECK((bus = bus_create(UINT64_C(1) << 52)) && hub);
	dev_init(&listener, &changed_ops, DEV_UPCALL);
	CHECK((root = pci_root_create(NULL, 0, &listener, NULL)));
	CHECK(!bus_claim(bus, ECAM, 0x100000, &root->dev, PCI_ECAM));
	for (uint32_t i = 0; i < FUNCS; i++) {
		dev_init(&func[i].dev, &bar_ops, 0);
		func[i].at = PCI_UNMAPPED;
		func[i].f = make(&func[i]);
		pci_intx_connect(func[i].f, hub, 16, IRQ_HUB_GSIS);
		CHECK(!pci_plug(root, func[i].f, 8 * (i + 1)));
	}
	CHECK(!pthread_create(&thread[0], NULL, writer, (void *)1));
	CHECK(!pthread_create(&thread[1], NULL, writer, (void *)2));
	CHECK(!pthread_create(&thread[2], NULL, visitor, hub));
	for (uintptr_t i = 0; i < READERS; i++)
		CHECK(!pthread_create(&thread[3 + i], NULL, reader, (void *)(i + 10)));
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	atomic_store(&done, true);
	for (int i = 2; i < READERS + 3; i++)
		pthread_join(thread[i], NULL);
	CHECK(hits && misses && refused && func[0].hooks && count_get(&root->changes));
	at_the_end();
	CHECK(!hub->high[16] && !hub->high[17]);
	CHECK(!bus_release(bus, ECAM, 0x100000));
	pci_root_destroy(root);
	irq_hub_destroy(hub);
	bus_destroy(bus);
	printf("%llu hits\n", (unsigned long long)hits);
	return 0;
}
