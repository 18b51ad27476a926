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

int msix_capability(struct msix *m, struct pci_func *f, const struct msix_place *place)
{
	int at = pci_add_capability(f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, &msix_cap_ops, m);

	if (at < 0)
		return at;
	m->capability = (uint32_t)at;
	pci_set(f, m->capability + PCI_MSIX_FLAGS, 2, m->vectors - 1);
	pci_set_wmask(f, m->capability + PCI_MSIX_FLAGS, 2,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_set(f, m->capability + PCI_MSIX_TABLE, 4, place->table_offset | place->table_bar);
	pci_set(f, m->capability + PCI_MSIX_PBA, 4, place->pba_offset | place->pba_bar);
	return 0;
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

static void msi_written(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct msix *m = opaque;
	uint32_t at = m->capability;
	uint32_t control = (uint32_t)pci_get(f, at + PCI_MSI_FLAGS, 2);
	// GUEST: any count, also one that was not offered
	uint32_t count = 1u << ((control & PCI_MSI_FLAGS_QSIZE) >> 4);
	struct messages message = {
		.address = pci_get(f, at + PCI_MSI_ADDRESS_LO, 8),
		.data = (uint32_t)pci_get(f, at + PCI_MSI_DATA_64, 2),
		.count = count < m->vectors ? count : m->vectors,
		.mask = (uint32_t)pci_get(f, at + PCI_MSI_MASK_64, 4),
	};

	(void)offset, (void)size;
	set_messages(m, control & PCI_MSI_FLAGS_ENABLE, &message);
}

static void msi_reading(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct msix *m = opaque;
	uint32_t at = m->capability + PCI_MSI_PENDING_64;

	if (offset < at + 4 && offset + size > at)
		pci_set(f, at, 4, msix_pending(m, 0));
}

static const struct pci_cap_ops msi_cap_ops = { .reading = msi_reading, .written = msi_written };

int msi_capability(struct msix *m, struct pci_func *f)
{
	if (m->vectors > MSI_MAX_VECTORS || m->vectors & (m->vectors - 1))
		return -EINVAL;
	int at = pci_add_capability(f, PCI_CAP_ID_MSI, MSI_LENGTH, &msi_cap_ops, m);
	if (at < 0)
		return at;
	m->capability = (uint32_t)at;
	pci_set(f, m->capability + PCI_MSI_FLAGS, 2,
		PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT |
			(uint32_t)__builtin_ctz(m->vectors) << 1);
	pci_set_wmask(f, m->capability + PCI_MSI_FLAGS, 2,
		      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pci_set_wmask(f, m->capability + PCI_MSI_ADDRESS_LO, 8, ~3ull);
	pci_set_wmask(f, m->capability + PCI_MSI_DATA_64, 2, 0xffff);
	pci_set_wmask(f, m->capability + PCI_MSI_MASK_64, 4, UINT32_MAX >> (32 - m->vectors));
	return 0;
}
