// SPDX-License-Identifier: Apache-2.0
// Between virtio_pci.c, virtio_pci_caps.c and virtio_legacy.c.
#ifndef VMM_VIRTIO_PCI_IMPL_H
#define VMM_VIRTIO_PCI_IMPL_H

#include <linux/virtio_pci.h>

#include "virtio_pci.h"

// virtio_pci.c
extern const struct dev_ops virtio_pci_ops;
extern const struct virtio_transport virtio_pci_transport;
// Vectors that do not exist become VIRTIO_MSI_NO_VECTOR: so the driver learns (4.1.5.1.2).
static inline uint16_t virtio_pci_vector(const struct virtio_pci *p, uint64_t value)
{
	return value < p->msix->vectors ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}
// Context: dev.lock held.
static inline void virtio_pci_set_vector(struct virtio_pci *p, uint32_t queue, uint64_t value)
{
	atomic_store(&p->queue_vector[queue], virtio_pci_vector(p, value));
	virtio_transport_changed(p->d);
}
// Whether interrupts go to vectors. Any thread.
static inline bool virtio_pci_msix_on(const struct virtio_pci *p)
{
	return msix_enabled(p->msix);
}

// virtio_legacy.c
extern const struct dev_ops virtio_legacy_ops;
// Interrupt status, cleared by looking; the pin falls. Context: dev.lock held.
uint8_t virtio_pci_take_isr(struct virtio_pci *p);

#endif
