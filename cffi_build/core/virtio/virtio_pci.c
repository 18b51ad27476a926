// SPDX-License-Identifier: Apache-2.0
// Registers of the PCI transport. Its capabilities and its life are in virtio_pci_caps.c.
#include "virtio_pci.h"

#include "virtio_pci_impl.h"

// The structure of 4.1.4.3 as a driver sees it; reading it changes nothing.
struct common {
	struct virtio_pci_common_cfg cfg;
	uint16_t queue_notify_data, queue_reset;
};

_Static_assert(offsetof(struct common, queue_notify_data) == VIRTIO_PCI_COMMON_Q_NDATA, "1.2");
_Static_assert(offsetof(struct common, queue_reset) == VIRTIO_PCI_COMMON_Q_RESET, "1.2");

static struct virtio_queue *selected(struct virtio_pci *p)
{
	return virtio_queue_at(p->d, p->queue_select);
}

static void fill_queue(struct virtio_pci *p, struct common *ret)
{
	const struct virtio_queue *q = selected(p);

	if (!q) // queue_size 0: there is no such queue
		return;
	ret->cfg.queue_size = q->size;
	ret->cfg.queue_msix_vector = atomic_load(&p->queue_vector[q->index]);
	ret->cfg.queue_enable = q->enabled;
	ret->cfg.queue_notify_off = ret->queue_notify_data = (uint16_t)q->index;
	ret->cfg.queue_desc_lo = (uint32_t)q->desc;
	ret->cfg.queue_desc_hi = (uint32_t)(q->desc >> 32);
	ret->cfg.queue_avail_lo = (uint32_t)q->avail;
	ret->cfg.queue_avail_hi = (uint32_t)(q->avail >> 32);
	ret->cfg.queue_used_lo = (uint32_t)q->used;
	ret->cfg.queue_used_hi = (uint32_t)(q->used >> 32);
	ret->queue_reset = q->resetting;
}

static uint64_t common_read(struct virtio_pci *p, uint64_t offset, uint32_t size)
{
	struct virtio_dev *d = p->d;
	struct common c = {
		.cfg = {
			.device_feature_select = p->feature_word,
			.device_feature = virtio_offered(d, p->feature_word),
			.guest_feature_select = p->accept_word,
			.guest_feature = virtio_acked(d, p->accept_word),
			.msix_config = atomic_load(&p->config_vector),
			.num_queues = (uint16_t)d->queue_count,
			.device_status = d->status,
			.config_generation = d->generation,
			.queue_select = p->queue_select,
		},
	};
	uint64_t value = UINT64_MAX;

	fill_queue(p, &c);
	if (offset + size <= sizeof(c)) {
		value = 0;
		memcpy(&value, (const uint8_t *)&c + offset, size);
	}
	return value;
}

// Halves of a queue's 64-bit addresses, or all of one.
static bool write_address(struct virtio_queue *q, uint64_t offset, uint32_t size, uint64_t value)
{
	uint64_t *const field[] = { &q->desc, &q->avail, &q->used };
	uint64_t at = offset - VIRTIO_PCI_COMMON_Q_DESCLO;
	uint64_t *address = field[at / 8];

	if (size == 8 && at % 8 == 0)
		*address = value;
	else if (size == 4 && at % 8 == 0)
		*address = (*address & ~UINT64_C(0xffffffff)) | value;
	else if (size == 4 && at % 8 == 4)
		*address = (*address & 0xffffffff) | value << 32;
	else
		return false;
	return true;
}

// Registers of the selected queue. False: not a write that a driver may make.
static bool queue_write(struct virtio_pci *p, uint64_t offset, uint32_t size, uint64_t value)
{
	struct virtio_queue *q = selected(p);

	if (!q)
		return false;
	if (offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset < VIRTIO_PCI_COMMON_Q_NDATA)
		return virtio_queue_writable(q) ? write_address(q, offset, size, value) : true;
	if (size != 2)
		return false;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (virtio_queue_writable(q))
			q->size = (uint16_t)value; // GUEST: judged by vq_start()
		return true;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		virtio_pci_set_vector(p, q->index, value);
		return true;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			virtio_queue_enable(q);
		return value == 1; // a driver must not write 0 (4.1.4.3.2)
	case VIRTIO_PCI_COMMON_Q_RESET:
		if (value == 1)
			virtio_queue_reset(q);
		return value == 1;
	default:
		return false;
	}
}

// Fields are written whole (4.1.3.1).
static bool common_write(struct virtio_pci *p, uint64_t offset, uint32_t size, uint64_t value)
{
	struct virtio_dev *d = p->d;

	switch (offset << 4 | size) {
	case VIRTIO_PCI_COMMON_DFSELECT << 4 | 4:
		p->feature_word = (uint32_t)value;
		return true;
	case VIRTIO_PCI_COMMON_GFSELECT << 4 | 4:
		p->accept_word = (uint32_t)value;
		return true;
	case VIRTIO_PCI_COMMON_GF << 4 | 4:
		virtio_accept(d, p->accept_word, (uint32_t)value);
		return true;
	case VIRTIO_PCI_COMMON_MSIX << 4 | 2:
		atomic_store(&p->config_vector, virtio_pci_vector(p, value));
		return true;
	case VIRTIO_PCI_COMMON_STATUS << 4 | 1:
		virtio_set_status(d, (uint8_t)value);
		return true;
	case VIRTIO_PCI_COMMON_Q_SELECT << 4 | 2:
		p->queue_select = (uint16_t)value;
		return true;
	default:
		return queue_write(p, offset, size, value);
	}
}

uint8_t virtio_pci_take_isr(struct virtio_pci *p)
{
	uint8_t isr = p->isr;

	p->isr = 0;
	pci_intx_set(p->func, false);
	return isr;
}

static int registers_read(struct dev *dev, uint32_t region, uint64_t offset, uint32_t size,
			  uint64_t *ret)
{
	struct virtio_dev *d = container_of(dev, struct virtio_dev, dev);
	struct virtio_pci *p = d->transport_opaque;

	if (region == VIRTIO_PCI_COMMON_REGION)
		*ret = common_read(p, offset, size);
	else if (region == VIRTIO_PCI_ISR_REGION && offset == 0)
		*ret = virtio_pci_take_isr(p);
	else if (region == VIRTIO_PCI_DEVICE_REGION)
		*ret = virtio_config_read(d, offset, size);
	return 0;
}

// GUEST: offset, size and value.
static int registers_write(struct dev *dev, uint32_t region, uint64_t offset, uint32_t size,
			   uint64_t value)
{
	struct virtio_dev *d = container_of(dev, struct virtio_dev, dev);
	struct virtio_pci *p = d->transport_opaque;

	if (region == VIRTIO_PCI_NOTIFY_REGION)
		virtio_notify(d, (uint32_t)(offset / VIRTIO_PCI_NOTIFY_STEP));
	else if (region == VIRTIO_PCI_DEVICE_REGION)
		virtio_config_write(d, offset, size, value);
	else if (region != VIRTIO_PCI_COMMON_REGION || !common_write(p, offset, size, value))
		virtio_ignore(d);
	return 0;
}

const struct dev_ops virtio_pci_ops = { .read = registers_read, .write = registers_write };

static void interrupt(void *opaque, int queue)
{
	struct virtio_pci *p = opaque;

	if (virtio_pci_msix_on(p)) {
		msix_fire(p->msix, atomic_load_explicit(queue < 0 ? &p->config_vector
								  : &p->queue_vector[queue],
							memory_order_relaxed));
		return;
	}
	LOCKED(&p->d->dev.lock);
	p->isr |= queue < 0 ? VIRTIO_PCI_ISR_CONFIG : 1;
	pci_intx_set(p->func, true);
}

static void reset_registers(void *opaque, int queue)
{
	struct virtio_pci *p = opaque;

	if (queue >= 0) {
		atomic_store(&p->queue_vector[queue], VIRTIO_MSI_NO_VECTOR);
		return;
	}
	p->feature_word = p->accept_word = 0;
	p->queue_select = 0;
	atomic_store(&p->config_vector, VIRTIO_MSI_NO_VECTOR);
	virtio_pci_take_isr(p);
}

static bool may_dma(void *opaque)
{
	struct virtio_pci *p = opaque;

	return p->d->legacy || pci_bus_master(p->func); // not all old drivers turn it on
}

static int interrupt_fd(void *opaque, uint32_t queue)
{
	struct virtio_pci *p = opaque;

	return virtio_pci_msix_on(p) ? msix_fd(p->msix, atomic_load(&p->queue_vector[queue])) : -1;
}

const struct virtio_transport virtio_pci_transport = {
	.interrupt = interrupt,
	.reset = reset_registers,
	.may_dma = may_dma,
	.interrupt_fd = interrupt_fd,
};
