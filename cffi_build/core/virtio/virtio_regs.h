// SPDX-License-Identifier: Apache-2.0
// The registers of a virtio device, as a transport presents them (virtio 1.2, section 2).
//
// All but virtio_notify() are called with dev.lock held. GUEST: every value comes from the driver;
// what it must not write is ignored and counted.
#ifndef VMM_VIRTIO_REGS_H
#define VMM_VIRTIO_REGS_H

#include "virtio.h"

// Before the first access. legacy: see struct virtio_dev.
void virtio_connect(struct virtio_dev *d, const struct virtio_transport *t, void *opaque,
		    bool legacy);

// may_dma() or interrupt_fd() of the transport may say something else from now on.
void virtio_transport_changed(struct virtio_dev *d);

// Status bits are only ever added; 0 resets. What cannot be refused shows in the status read next.
void virtio_set_status(struct virtio_dev *d, uint8_t value);
// word: 32-bit word of the feature bits; words above 1 hold none.
uint32_t virtio_offered(const struct virtio_dev *d, uint32_t word);
uint32_t virtio_acked(const struct virtio_dev *d, uint32_t word);
void virtio_accept(struct virtio_dev *d, uint32_t word, uint32_t bits);

// The queue that the driver selected, or NULL if there is none of that number.
static inline struct virtio_queue *virtio_queue_at(struct virtio_dev *d, uint32_t index)
{
	return index < d->queue_count ? &d->queue[index] : NULL;
}

// Whether the driver may set size and addresses now; counts if not.
bool virtio_queue_writable(struct virtio_queue *q);
void virtio_queue_enable(struct virtio_queue *q);
void virtio_queue_reset(struct virtio_queue *q);
// Any thread, also with the lock held: buffers may be available. Numbers out of range are counted.
void virtio_notify(struct virtio_dev *d, uint32_t index);

// Device configuration, any width. Bytes beyond its end read as ones and are not written.
uint64_t virtio_config_read(struct virtio_dev *d, uint64_t offset, uint32_t size);
void virtio_config_write(struct virtio_dev *d, uint64_t offset, uint32_t size, uint64_t value);

static inline void virtio_ignore(struct virtio_dev *d)
{
	count_add(&d->ignored, 1);
}

#endif
