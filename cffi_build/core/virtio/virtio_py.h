// SPDX-License-Identifier: Apache-2.0
// A virtio device whose queues are served from outside the core: by Python on the loop's thread, or
// by somebody's own native code through a table of functions.
//
// For Python the loop's handlers only write down what happened and make `event_fd` readable. Python
// takes the notes on that thread, between two loop_run(), so it owns the rings as a device in C
// does: it calls vq_pop(), vq_push(), vq_flush(), virtio_interrupt() itself.
#ifndef VMM_VIRTIO_PY_H
#define VMM_VIRTIO_PY_H

#include "virtio.h"

#define VIRTIO_PY_WORDS (VIRTIO_MAX_QUEUES / 64)

struct virtio_py_setup {
	uint32_t device_id;
	uint64_t features;
	uint32_t queue_count;
	uint16_t queue_size[VIRTIO_MAX_QUEUES];
	uint32_t config_len;
	struct gmem *mem;
	struct loop *loop;
};

// What happened since the last time, in the order in which to act on it.
struct virtio_py_notes {
	uint8_t start;
	uint8_t config; // the driver wrote to configuration space
	uint64_t kick[VIRTIO_PY_WORDS]; // by queue
	uint64_t queue_stop[VIRTIO_PY_WORDS]; // answer with virtio_queue_stopped()
	uint8_t quiesce; // answer with virtio_quiesced()
	uint8_t stop; // answer with virtio_stopped()
};

// The core as native code outside of it may use it. Grows at the end only.
struct virtio_api {
	uint32_t size; // of this struct
	int (*pop)(struct vq *q, struct vq_chain *ret);
	void (*unpop)(struct vq *q);
	void (*push)(struct vq *q, uint16_t head, uint32_t written);
	bool (*flush)(struct vq *q);
	bool (*kicks_on)(struct vq *q);
	struct vq *(*ring)(struct virtio_dev *d, uint32_t queue);
	void (*interrupt)(struct virtio_dev *d, uint32_t queue);
	void (*again)(struct virtio_dev *d, uint32_t queue);
	void (*needs_reset)(struct virtio_dev *d, enum virtio_fault why);
};

// Called for each kick of a live queue, on the loop's thread; it holds no chain when it returns.
typedef void (*virtio_native_fn)(const struct virtio_api *api, struct virtio_dev *d, uint32_t queue,
				 void *opaque);

struct virtio_py {
	struct virtio_dev vdev;
	int event_fd;
	struct virtio_py_notes notes; // the loop's, but for `config`
	_Atomic bool config_written;
	virtio_native_fn native[VIRTIO_MAX_QUEUES];
	void *native_opaque[VIRTIO_MAX_QUEUES];
};

// NULL with errno set, see virtio_init().
struct virtio_py *virtio_py_create(const struct virtio_py_setup *setup);
// See virtio_deinit().
void virtio_py_destroy(struct virtio_py *p);
// Before the device is plugged: `fn` serves the queue, and no note is made of its kicks.
void virtio_py_serve(struct virtio_py *p, uint32_t queue, virtio_native_fn fn, void *opaque);
// On the loop's thread, when event_fd is readable.
void virtio_py_take(struct virtio_py *p, struct virtio_py_notes *ret);
// Copies configuration space as it is now.
void virtio_py_config(struct virtio_py *p, uint8_t ret[VIRTIO_CONFIG_MAX]);

#endif
