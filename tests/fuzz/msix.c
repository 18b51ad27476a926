// SPDX-License-Identifier: Apache-2.0
// MSI-X vectors and both capabilities: registers, configuration space, fires and states in any
// order.
#include "fuzz.h"
#include "msix.h"
#include "pci.h"

#define VECTORS 16u
#define DEVFN 8u

struct rig {
	struct irq_router *router;
	struct msix *msix, *msi;
	struct pci_func *func;
	struct pci_root *root;
};

static void configure(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t size = 1u << (how >> 1 & 3),
		 at = how & 8 ? r->msix->capability : r->msi->capability;
	uint32_t offset = (at + (uint32_t)take(in, 1) % 24) & ~(size - 1);
	uint64_t value = UINT64_MAX;

	size = size > 4 ? 4 : size;
	if (how & 1)
		pci_config_read(r->root, DEVFN, offset, size, &value);
	else
		MUST(!pci_config_write(r->root, DEVFN, offset, size, take(in, size)));
}

static void one_step(struct rig *r, struct input *in)
{
	const struct registers table = { &r->msix->dev, 1, 16 * VECTORS, 8 };
	const struct registers both = { &r->msix->dev, 2, 8, 8 };

	switch (take(in, 1) % 8) {
	case 0:
		access_registers(in, &both);
		break;
	case 1:
	case 2:
		access_registers(in, &table);
		break;
	case 3:
		msix_fire(r->msix, (uint32_t)take(in, 2));
		break;
	case 4:
		msix_fire(r->msi, (uint32_t)take(in, 1));
		break;
	case 5:
		FUZZ_STATE(msix, r->msix, in);
		break;
	case 6:
		take(in, 1) & 1 ? msix_reset(r->msix) : pci_func_reset(r->func);
		break;
	default:
		configure(r, in);
	}
	MUST(msix_pending(r->msix, 0) < 1u << VECTORS);
	MUST(router_entries(r->router, NULL, 0) <= VECTORS + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pci_ident ident = { .vendor = 0x1af4, .device = 0x1041 };
	const struct msix_place place = { 0, 0, 0, 0x800 };
	struct input in = { data, size };
	struct rig r = { .router = router_create(-1), .func = pci_func_create(&ident) };

	r.msix = msix_create(r.router, -1, VECTORS);
	r.msi = msix_create(r.router, -1, 4);
	r.root = pci_root_create(NULL, 0, NULL, NULL);
	MUST(r.router && r.func && r.msix && r.msi && r.root);
	MUST(!msix_capability(r.msix, r.func, &place) && !msi_capability(r.msi, r.func));
	for (uint32_t i = 0; i < VECTORS; i += 2) // the others are unused
		MUST(!msix_set_gsi(r.msix, i, 24 + i));
	for (uint32_t i = 0; i < 4; i++)
		MUST(!msix_set_gsi(r.msi, i, 100 + i));
	MUST(!pci_plug(r.root, r.func, DEVFN));
	while (in.left)
		one_step(&r, &in);
	pci_unplug(r.func);
	pci_func_destroy(r.func);
	pci_root_destroy(r.root);
	msix_destroy(r.msix);
	msix_destroy(r.msi);
	MUST(!router_entries(r.router, NULL, 0));
	router_destroy(r.router);
	return 0;
}
