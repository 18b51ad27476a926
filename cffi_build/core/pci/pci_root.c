// SPDX-License-Identifier: Apache-2.0
// The root bus: which function is where, and the two windows to configuration space.
#include <stdlib.h>

#include "pci_impl.h"

enum {
	ADDRESS_PORT = 0xcf8,
	ADDRESS_SIZE = 4, // the data ports follow
	RESET_AT = 1, // 0xcf9
	MULTI_FUNCTION = 0x80, // in the header type
};
#define ADDRESS_ENABLE (UINT32_C(1) << 31)
// Bits 30:24 and 1:0 read as zero.
#define ADDRESS_BITS UINT32_C(0x80fffffc)

// Where 0xcf8 points. False: nowhere on this bus.
static bool selected(struct pci_root *r, uint64_t port, uint32_t *devfn, uint32_t *offset)
{
	LOCKED(&r->dev.lock);
	uint32_t address = r->address;

	*devfn = address >> 8 & 0xff;
	*offset = (address & 0xfc) + (uint32_t)(port - ADDRESS_SIZE);
	return (address & ADDRESS_ENABLE) && !(address >> 16 & 0xff);
}

static int ports_read(struct pci_root *r, uint64_t port, uint32_t size, uint64_t *ret)
{
	uint32_t devfn, offset;

	if (port >= ADDRESS_SIZE) {
		if (selected(r, port, &devfn, &offset))
			pci_config_read(r, devfn, offset, size, ret);
		else
			count_add(&r->missing, 1);
	} else if (port == 0 && size == ADDRESS_SIZE) {
		LOCKED(&r->dev.lock);
		*ret = r->address;
	} else if (port == RESET_AT && size == 1 && r->reset) {
		LOCKED(&r->reset->lock);
		return r->reset->ops->read(r->reset, r->reset_region, 0, 1, ret);
	}
	return 0;
}

static int ports_write(struct pci_root *r, uint64_t port, uint32_t size, uint64_t value)
{
	uint32_t devfn, offset;

	if (port >= ADDRESS_SIZE) {
		if (selected(r, port, &devfn, &offset))
			return pci_config_write(r, devfn, offset, size, value);
		count_add(&r->missing, 1);
	} else if (port == 0 && size == ADDRESS_SIZE) {
		LOCKED(&r->dev.lock);
		r->address = (uint32_t)value & ADDRESS_BITS; // GUEST: any function, any register
		// What follows is an access to the data, which exits: until then it can wait.
		coalesce_zone_hit(&r->zone, 1);
		coalesce_zone_set(&r->zone, true);
	} else if (port == RESET_AT && size == 1 && r->reset) {
		LOCKED(&r->reset->lock);
		return r->reset->ops->write(r->reset, r->reset_region, 0, 1, value);
	}
	return 0;
}

static int root_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct pci_root *r = container_of(d, struct pci_root, dev);

	if (region == PCI_PORTS)
		return ports_read(r, offset, size, ret);
	pci_config_read(r, offset >> 12 & 0xff, offset & 0xfff, size, ret);
	return 0;
}

static int root_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	struct pci_root *r = container_of(d, struct pci_root, dev);

	if (region == PCI_PORTS)
		return ports_write(r, offset, size, value);
	return pci_config_write(r, offset >> 12 & 0xff, offset & 0xfff, size, value);
}

static const struct dev_ops root_ops = { .read = root_read, .write = root_write };

struct pci_root *pci_root_create(struct dev *reset, uint32_t reset_region, struct dev *changed,
				 struct coalesce *coalesce)
{
	struct pci_root *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	dev_init(&r->dev, &root_ops, DEV_UPCALL);
	r->reset = reset;
	r->reset_region = reset_region;
	r->changed = changed;
	coalesce_zone_init(&r->zone, coalesce, ADDRESS_PORT, ADDRESS_SIZE, true, true);
	return r;
}

void pci_root_destroy(struct pci_root *r)
{
	coalesce_zone_deinit(&r->zone);
	dev_deinit(&r->dev);
	free(r);
}

void pci_root_reset(struct pci_root *r)
{
	LOCKED(&r->dev.lock);
	r->address = 0;
}

void pci_root_save(struct pci_root *r, struct pci_root_state *ret)
{
	LOCKED(&r->dev.lock);
	*ret = (struct pci_root_state){ PCI_ROOT_STATE_VERSION, r->address };
}

int pci_root_load(struct pci_root *r, const struct pci_root_state *state)
{
	if (state->version != PCI_ROOT_STATE_VERSION || state->address & ~ADDRESS_BITS)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	r->address = state->address;
	return 0;
}

void pci_root_counts(struct pci_root *r, struct pci_counts *ret)
{
	*ret = (struct pci_counts){ count_get(&r->reads), count_get(&r->writes),
				    count_get(&r->missing), count_get(&r->changes) };
}

// Function 0 tells whether the others are worth looking for. Context: root's lock held.
static void mark_multi_function(struct pci_root *r, uint32_t devfn)
{
	struct pci_func *first = r->func[devfn & ~7u];
	bool more = false;

	if (!first)
		return;
	for (uint32_t n = 1; n < 8; n++)
		more |= r->func[(devfn & ~7u) + n] != NULL;
	uint8_t type = first->config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK;
	first->config[PCI_HEADER_TYPE] = type | (more ? MULTI_FUNCTION : 0);
	first->initial[PCI_HEADER_TYPE] = first->config[PCI_HEADER_TYPE];
}

int pci_plug(struct pci_root *r, struct pci_func *f, uint32_t devfn)
{
	if (devfn >= PCI_FUNCTIONS || f->root)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	if (r->func[devfn])
		return -EBUSY;
	memcpy(f->initial, f->config, sizeof(f->initial));
	f->devfn = devfn;
	f->root = r;
	r->func[devfn] = f;
	pci_command_written(f);
	mark_multi_function(r, devfn);
	return 0;
}

void pci_unplug(struct pci_func *f)
{
	struct pci_root *r = f->root;

	if (!r)
		return;
	{
		LOCKED(&r->dev.lock);
		r->func[f->devfn] = NULL;
		f->root = NULL;
		mark_multi_function(r, f->devfn);
	}
	pci_intx_set(f, false);
}
