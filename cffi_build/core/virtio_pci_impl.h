// SPDX-License-Identifier: Apache-2.0
// Between virtio_pci.c and virtio_pci_caps.c.
#ifndef VMM_VIRTIO_PCI_IMPL_H
#define VMM_VIRTIO_PCI_IMPL_H

#include <linux/virtio_pci.h>

#include "virtio_pci.h"

// virtio_pci.c
extern const struct dev_ops virtio_pci_ops;
extern const struct virtio_transport virtio_pci_transport;
// Interrupt status, cleared by looking; the pin falls. Context: dev.lock held.
uint8_t virtio_pci_take_isr(struct virtio_pci *p);

#endif
