// SPDX-License-Identifier: Apache-2.0
// The PCI transport of a virtio device (virtio 1.2, section 4.1): capabilities, common
// configuration, interrupt status, notifications, and the access to all of it through configuration
// space.
//
// The registers belong to the device's own struct dev, whose lock the bus takes. Interrupts go to
// the vectors of core/pci/msix.h once the driver has enabled them, to the function's pin before.
#ifndef VMM_VIRTIO_PCI_H
#define VMM_VIRTIO_PCI_H

#include "msix.h"
#include "pci.h"
#include "virtio_regs.h"

// Regions of the device's struct dev, and where its register window has them.
enum virtio_pci_region {
	VIRTIO_PCI_COMMON_REGION,
	VIRTIO_PCI_ISR_REGION,
	VIRTIO_PCI_DEVICE_REGION,
	VIRTIO_PCI_NOTIFY_REGION,
};

enum {
	VIRTIO_PCI_PART = 0x1000, // each region's place in the window, in the order above
	VIRTIO_PCI_NOTIFY_STEP = 4, // bytes a queue in the notification region
	VIRTIO_PCI_LEGACY_PORTS = 24, // with the vectors, which are there while MSI-X is on
	VIRTIO_PCI_LEGACY_NOTIFY = 16, // 16 bits: the queue's number
};

struct virtio_pci {
	struct dev ports; // legacy: its own lock is not used
	struct virtio_dev *d;
	struct pci_func *func;
	struct msix *msix;
	uint32_t window_bar; // base address register of the regions above
	uint32_t access_cap; // offset of the capability for access through configuration space
	uint32_t feature_word, accept_word; // selected
	uint16_t queue_select;
	bool master, vectors; // the device knows: bus master, MSI-X are on
	uint8_t isr; // interrupt status: VIRTIO_PCI_ISR_*
	_Atomic uint16_t config_vector, queue_vector[VIRTIO_MAX_QUEUES];
};

#define VIRTIO_PCI_STATE_VERSION 1

struct virtio_pci_state {
	uint32_t version;
	uint32_t feature_word, accept_word;
	uint16_t queue_select, config_vector;
	uint8_t isr;
	uint16_t queue_vector[VIRTIO_MAX_QUEUES];
};

struct virtio_pci_setup {
	struct virtio_dev *d;
	struct pci_func *func; // not plugged yet
	struct msix *msix;
	// Base address registers with the four regions, and with notifications alone, which drivers
	// then prefer; the same number: there is no such register.
	uint32_t window_bar, notify_bar;
	// Instead of all that the ports of the legacy interface, VIRTIO_PCI_LEGACY_PORTS bytes and
	// the device's configuration: one region of `ports`.
	bool legacy;
};

// Adds the capabilities to the function and connects the device. NULL with errno: no memory, no
// room.
struct virtio_pci *virtio_pci_create(const struct virtio_pci_setup *setup);
// The device's registers are off the bus and its function is unplugged.
void virtio_pci_destroy(struct virtio_pci *p);
void virtio_pci_save(struct virtio_pci *p, struct virtio_pci_state *ret);
// -EINVAL: another version. After the function's own state.
int virtio_pci_load(struct virtio_pci *p, const struct virtio_pci_state *state);

#endif
