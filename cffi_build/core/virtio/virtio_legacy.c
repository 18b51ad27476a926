// SPDX-License-Identifier: Apache-2.0
// The legacy PCI transport (virtio 1.2, 4.1.4.10 and the legacy notes of section 2): a header of
// I/O ports with the configuration behind it, for drivers of before 2014.
//
// They neither negotiate in steps nor poll for the end of a reset, and serve themselves from their
// queues before they say DRIVER_OK. So a queue is live as soon as it has an address, and a reset
// returns when it is done: these ports are accessed without the bus holding a lock.
#include "virtio_pci_impl.h"

enum {
	RING_ALIGN = VIRTIO_PCI_VRING_ALIGN,
	RESET_PATIENCE = 10000, // ms; a loop that is stuck for longer leaves the driver to itself
};

static struct virtio_queue *selected(struct virtio_pci *p)
{
	return virtio_queue_at(p->d, p->queue_select);
}

static uint16_t queue_vector(struct virtio_pci *p)
{
	return selected(p) ? atomic_load(&p->queue_vector[p->queue_select]) : VIRTIO_MSI_NO_VECTOR;
}

// Context: dev.lock held.
static uint64_t header_read(struct virtio_pci *p, uint64_t offset)
{
	const struct virtio_queue *q = selected(p);

	switch (offset) {
	case VIRTIO_PCI_HOST_FEATURES:
		return virtio_offered(p->d, 0);
	case VIRTIO_PCI_GUEST_FEATURES:
		return virtio_acked(p->d, 0);
	case VIRTIO_PCI_QUEUE_PFN:
		return q && q->enabled ? q->desc / RING_ALIGN : 0;
	case VIRTIO_PCI_QUEUE_NUM:
		return q ? q->max_size : 0;
	case VIRTIO_PCI_QUEUE_SEL:
		return p->queue_select;
	case VIRTIO_PCI_STATUS:
		return p->d->status;
	case VIRTIO_PCI_ISR:
		return virtio_pci_take_isr(p);
	case VIRTIO_MSI_CONFIG_VECTOR:
		return atomic_load(&p->config_vector);
	case VIRTIO_MSI_QUEUE_VECTOR:
		return queue_vector(p);
	default:
		return UINT64_MAX;
	}
}

// GUEST: the page frame number. The layout follows from the queue's size (2.7.2).
static void set_address(struct virtio_pci *p, uint32_t pfn)
{
	struct virtio_queue *q = selected(p);

	if (!q || (!pfn && !q->enabled))
		return;
	if (!pfn) {
		virtio_queue_reset(q);
	} else if (virtio_queue_writable(q)) {
		q->desc = (uint64_t)pfn * RING_ALIGN;
		q->avail = q->desc + sizeof(struct vring_desc) * q->max_size;
		// Flags, index, entries and the used event.
		q->used = q->avail + 2 * (3ull + q->max_size) + RING_ALIGN - 1;
		q->used -= q->used % RING_ALIGN;
		virtio_queue_enable(q);
	}
}

// Context: dev.lock held. False: not a write that a driver may make.
static bool header_write(struct virtio_pci *p, uint64_t offset, uint32_t size, uint64_t value)
{
	switch (offset << 4 | size) {
	case VIRTIO_PCI_GUEST_FEATURES << 4 | 4:
		virtio_accept(p->d, 0, (uint32_t)value);
		return true;
	case VIRTIO_PCI_QUEUE_PFN << 4 | 4:
		set_address(p, (uint32_t)value);
		return true;
	case VIRTIO_PCI_QUEUE_SEL << 4 | 2:
		p->queue_select = (uint16_t)value;
		return true;
	case VIRTIO_PCI_QUEUE_NOTIFY << 4 | 2:
		virtio_notify(p->d, (uint32_t)value);
		return true;
	case VIRTIO_PCI_STATUS << 4 | 1:
		virtio_set_status(p->d, (uint8_t)value);
		return true;
	case VIRTIO_MSI_CONFIG_VECTOR << 4 | 2:
		atomic_store(&p->config_vector, virtio_pci_vector(p, value));
		return true;
	case VIRTIO_MSI_QUEUE_VECTOR << 4 | 2:
		if (selected(p))
			virtio_pci_set_vector(p, p->queue_select, value);
		return true;
	default:
		return false;
	}
}

static uint64_t header_size(const struct virtio_pci *p)
{
	return VIRTIO_PCI_CONFIG_OFF(virtio_pci_msix_on(p));
}

static int ports_read(struct dev *dev, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t *ret)
{
	struct virtio_pci *p = container_of(dev, struct virtio_pci, ports);
	uint64_t header = header_size(p);

	(void)region;
	LOCKED(&p->d->dev.lock);
	if (offset >= header)
		*ret = virtio_config_read(p->d, offset - header, size);
	else
		*ret = header_read(p, offset);
	return 0;
}

static int ports_write(struct dev *dev, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	struct virtio_pci *p = container_of(dev, struct virtio_pci, ports);
	uint64_t header = header_size(p);

	(void)region;
	{
		LOCKED(&p->d->dev.lock);
		if (offset >= header)
			virtio_config_write(p->d, offset - header, size, value);
		else if (!header_write(p, offset, size, value))
			virtio_ignore(p->d);
	}
	if (offset == VIRTIO_PCI_STATUS && size == 1 && !value)
		virtio_wait_idle(p->d, RESET_PATIENCE);
	return 0;
}

const struct dev_ops virtio_legacy_ops = { .read = ports_read, .write = ports_write };
