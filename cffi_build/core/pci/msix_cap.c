// SPDX-License-Identifier: Apache-2.0
// The capabilities that show vectors in configuration space: MSI-X (PCI 3.0, 6.8.2) and MSI
// (6.8.1).
#include "msix_impl.h"
#include "pci.h"

enum {
	MSI_LENGTH = 24, // 64-bit addresses and masks
	MSI_MAX_VECTORS = 32,
};

static void msix_written(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct msix *m = opaque;
	uint64_t control = pci_get(f, m->capability + PCI_MSIX_FLAGS, 2);

	(void)offset, (void)size;
	msix_control(m, control & PCI_MSIX_FLAGS_ENABLE, control & PCI_MSIX_FLAGS_MASKALL);
}

static const struct pci_cap_ops msix_cap_ops = { .written = msix_written };

static void msix_writable(struct msix *m, struct pci_func *f)
{
	pci_set_wmask(f, m->capability + PCI_MSIX_FLAGS, 2,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

int msix_capability(struct msix *m, struct pci_func *f, const struct msix_place *place)
{
	int at = pci_add_capability(f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, &msix_cap_ops, m);

	if (at < 0)
		return at;
	m->capability = (uint32_t)at;
	pci_set(f, m->capability + PCI_MSIX_FLAGS, 2, m->vectors - 1);
	pci_set(f, m->capability + PCI_MSIX_TABLE, 4, place->table_offset | place->table_bar);
	pci_set(f, m->capability + PCI_MSIX_PBA, 4, place->pba_offset | place->pba_bar);
	msix_writable(m, f);
	return 0;
}

int msix_adopt(struct msix *m, struct pci_func *f, uint32_t at)
{
	m->capability = at;
	pci_set(f, at + PCI_MSIX_FLAGS, 2, m->vectors - 1);
	msix_writable(m, f);
	return pci_hook(f, at, PCI_CAP_MSIX_SIZEOF, &msix_cap_ops, m);
}

// What the capability says: the first `count` vectors have messages that differ in the low bits of
// the data (6.8.1.6), bit n of mask masks vector n, the others stay silent. count: a power of two.
struct messages {
	uint64_t address;
	uint32_t data, count, mask;
};

static void set_messages(struct msix *m, bool enabled, const struct messages *message)
{
	LOCKED(&m->dev.lock);
	m->enabled = enabled;
	m->messages = message->count;
	for (uint32_t i = 0; i < m->vectors; i++) {
		struct msix_vector *v = &m->vector[i];
		bool masked = i >= message->count || message->mask >> i & 1;
		v->word[WORD_LOW] = (uint32_t)message->address;
		v->word[WORD_HIGH] = (uint32_t)(message->address >> 32);
		v->word[WORD_DATA] = (message->data & ~(message->count - 1)) | i;
		v->word[WORD_CONTROL] = masked ? MSIX_CONTROL_MASKED : 0;
	}
	msix_refresh(m, 0, m->vectors);
}

// Where the registers are, from the start of the capability; 0: there is none.
struct msi_shape {
	uint32_t address_size, data, mask, pending, length;
};

static struct msi_shape shape_of(struct msix *m, struct pci_func *f)
{
	uint32_t flags = (uint32_t)pci_get(f, m->capability + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT, masks = flags & PCI_MSI_FLAGS_MASKBIT;
	uint32_t data = wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;

	return (struct msi_shape){
		.address_size = wide ? 8 : 4,
		.data = data,
		.mask = masks ? data + 4 : 0,
		.pending = masks ? data + 8 : 0,
		.length = masks ? data + 12 : data + 2,
	};
}

static void msi_written(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct msix *m = opaque;
	uint32_t at = m->capability;
	struct msi_shape shape = shape_of(m, f);
	uint32_t control = (uint32_t)pci_get(f, at + PCI_MSI_FLAGS, 2);
	// GUEST: any count, also one that was not offered
	uint32_t count = 1u << ((control & PCI_MSI_FLAGS_QSIZE) >> 4);
	struct messages message = {
		.address = pci_get(f, at + PCI_MSI_ADDRESS_LO, shape.address_size),
		.data = (uint32_t)pci_get(f, at + shape.data, 2),
		.count = count < m->vectors ? count : m->vectors,
		.mask = shape.mask ? (uint32_t)pci_get(f, at + shape.mask, 4) : 0,
	};

	(void)offset, (void)size;
	set_messages(m, control & PCI_MSI_FLAGS_ENABLE, &message);
}

static void msi_reading(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct msix *m = opaque;
	uint32_t pending = shape_of(m, f).pending, at = m->capability + pending;

	if (pending && offset < at + 4 && offset + size > at)
		pci_set(f, at, 4, msix_pending(m, 0));
}

static const struct pci_cap_ops msi_cap_ops = { .reading = msi_reading, .written = msi_written };

static void msi_registers(struct msix *m, struct pci_func *f)
{
	uint32_t at = m->capability;
	struct msi_shape shape = shape_of(m, f);

	pci_set_wmask(f, at + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pci_set_wmask(f, at + PCI_MSI_ADDRESS_LO, shape.address_size, ~3ull);
	pci_set_wmask(f, at + shape.data, 2, 0xffff);
	if (shape.mask)
		pci_set_wmask(f, at + shape.mask, 4, UINT32_MAX >> (32 - m->vectors));
}

static bool msi_possible(const struct msix *m)
{
	return m->vectors <= MSI_MAX_VECTORS && !(m->vectors & (m->vectors - 1));
}

int msi_capability(struct msix *m, struct pci_func *f)
{
	if (!msi_possible(m))
		return -EINVAL;
	int at = pci_add_capability(f, PCI_CAP_ID_MSI, MSI_LENGTH, &msi_cap_ops, m);
	if (at < 0)
		return at;
	m->capability = (uint32_t)at;
	pci_set(f, m->capability + PCI_MSI_FLAGS, 2,
		PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT |
			(uint32_t)__builtin_ctz(m->vectors) << 1);
	msi_registers(m, f);
	return 0;
}

int msi_adopt(struct msix *m, struct pci_func *f, uint32_t at)
{
	if (!msi_possible(m))
		return -EINVAL;
	m->capability = at;
	struct msi_shape shape = shape_of(m, f);
	uint64_t flags = pci_get(f, at + PCI_MSI_FLAGS, 2);
	// As after a reset: off, one message, nothing in it.
	for (uint32_t i = PCI_MSI_ADDRESS_LO; i < shape.length; i++)
		pci_set(f, at + i, 1, 0);
	pci_set(f, at + PCI_MSI_FLAGS, 2,
		flags & ~(uint64_t)(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE));
	msi_registers(m, f);
	return pci_hook(f, at, shape.length, &msi_cap_ops, m);
}
