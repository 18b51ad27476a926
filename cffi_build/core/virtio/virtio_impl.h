// SPDX-License-Identifier: Apache-2.0
// Inside the virtio core: shared by virtio.c, virtio_loop.c, virtio_regs.c and virtio_state.c.
#ifndef VMM_VIRTIO_IMPL_H
#define VMM_VIRTIO_IMPL_H

#include <unistd.h>

#include "virtio_regs.h"

enum virtio_request {
	VIRTIO_ASK_START = 1,
	VIRTIO_ASK_RESET = 2,
	VIRTIO_ASK_QUEUES = 4, // start_asked or resetting is set on some queue
	VIRTIO_ASK_PAUSE = 8,
	VIRTIO_ASK_RESUME = 16,
	VIRTIO_ASK_CHANGED = 32, // see changed() of struct virtio_ops
};

enum {
	VIRTIO_DRIVER_STATUS = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |
			       VIRTIO_CONFIG_S_FAILED, // bits that a driver may set
};

static inline void virtio_nudge(int eventfd)
{
	uint64_t one = 1;
	// Fails only when the counter is full, which is as good.
	ssize_t n = write(eventfd, &one, sizeof(one));
	(void)n;
}

// Leaves a request for the loop and wakes it. Context: dev.lock held.
static inline void virtio_ask(struct virtio_dev *d, uint32_t requests)
{
	d->requests |= requests;
	virtio_nudge(d->request_fd);
}

// virtio.c: stores the word and wakes who waits for it.
void virtio_word_set(_Atomic uint32_t *word, uint32_t value);
// virtio_loop.c: the queue's ring is no longer used. On the loop's thread, or when it has ended.
void virtio_forget_queue(struct virtio_queue *q);
// virtio_regs.c: every register as after power-on. Context: dev.lock held, the loop has nothing of
// the device.
void virtio_reset_registers(struct virtio_dev *d);
// The same for one queue's.
void virtio_reset_queue(struct virtio_queue *q);

#endif
