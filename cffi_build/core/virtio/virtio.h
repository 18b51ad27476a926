// SPDX-License-Identifier: Apache-2.0
// A virtio device (virtio 1.2, sections 2 and 3) behind any transport: what a device sees of it.
//
// Two parties, two sets of data. vCPU threads own the registers (status, features, queue addresses,
// configuration space), under dev.lock. The device's loop owns everything that refers to the rings:
// struct vq, the device's work, whether it is live. A vCPU that starts or resets a device leaves a
// request, wakes the loop and goes on; registers show the old value until the loop has done it, and
// drivers poll for that (4.1.4.3.2). No thread ever waits for another with a lock held.
//
// What a transport needs beside this stands in virtio_regs.h.
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "base.h"
#include "dev.h"
#include "gmem.h"
#include "loop.h"
#include "vq.h"

#define VIRTIO_MAX_QUEUES 128
#define VIRTIO_CONFIG_MAX 256

#define VIRTIO_BIT(n) (UINT64_C(1) << (n))
// What every device offers: the transport and the rings do these by themselves.
#define VIRTIO_COMMON_FEATURES                                                                     \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET) |                        \
	 VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX))

struct virtio_dev;

// Why a device needs a reset.
enum virtio_fault {
	VIRTIO_FAULT_RING = 1, // a chain or an index in a ring cannot be
	VIRTIO_FAULT_ADDRESS, // a queue was enabled with a size or an address that cannot be
	VIRTIO_FAULT_REQUEST, // a request that the device cannot take
	VIRTIO_FAULT_HOST, // the host failed the device
};

// What loop_run() tells Python of: `source` is the struct virtio_dev.
enum virtio_event {
	VIRTIO_EVENT_NEEDS_RESET = LOOP_USER + 1, // value: enum virtio_fault
	VIRTIO_EVENT_REFUSED, // FEATURES_OK was refused; value: for these features, 0: for the mix
	VIRTIO_EVENT_FAILED, // the driver gave up (status bit FAILED)
	VIRTIO_EVENT_LAST,
};

// Called on the loop's thread with no lock held, unless said otherwise. Only `start` and `kick` are
// needed.
struct virtio_ops {
	// The driver is ready: the enabled queues are live, d->acked is final. Every live queue
	// gets a kick() right after, which takes in whatever was made available before. -errno: the
	// device needs a reset (VIRTIO_FAULT_HOST).
	int (*start)(struct virtio_dev *d);
	// The driver made buffers available on this live queue (or may have).
	void (*kick)(struct virtio_dev *d, uint32_t queue);
	// Reset, unplug: finish or forget everything that refers to the rings, then call
	// virtio_stopped(d), at once or later. No kick() follows. NULL: there is nothing to finish.
	void (*stop)(struct virtio_dev *d);
	// The same for one queue (VIRTIO_F_RING_RESET), ended by virtio_queue_stopped(d, queue).
	void (*queue_stop)(struct virtio_dev *d, uint32_t queue);
	// The machine pauses: finish what was taken from the rings, take nothing more, then call
	// virtio_quiesced(d). Every live queue gets a kick() when it goes on. NULL: between two
	// calls nothing is under way.
	void (*quiesce)(struct virtio_dev *d);
	// What the transport lets the device do may have changed: whether it may use guest memory,
	// or where interrupts go. Also after virtio_needs_reset(). Somebody else who uses rings
	// must not, unless virtio_live(); if so every live queue gets a kick() right after. NULL:
	// nobody else does.
	void (*changed)(struct virtio_dev *d);
	// The driver wrote configuration bytes that d->config_wmask allows; they are stored. On the
	// vCPU's thread, with dev.lock held.
	void (*config_written)(struct virtio_dev *d, uint32_t offset, uint32_t size);
	// Whether the device can work with these features (FEATURES_OK, 3.1.1). On the vCPU's
	// thread, with dev.lock held.
	bool (*features_ok)(struct virtio_dev *d, uint64_t features);
	// The registers went back to their defaults; d->config may be set anew. On the thread that
	// did it, with dev.lock held.
	void (*reset)(struct virtio_dev *d);
};

struct virtio_transport {
	// Tells the driver: queue, or -1 for a change of configuration. Any thread, no lock held.
	void (*interrupt)(void *opaque, int queue);
	// Registers of the transport go back to their defaults: of all (-1), or of one queue. With
	// dev.lock held.
	void (*reset)(void *opaque, int queue);
	// Whether the device may use guest memory now. NULL: always. Any thread.
	bool (*may_dma)(void *opaque);
	// The eventfd whose write does what interrupt() does for a queue, for vhost; -1: there is
	// none as things are. NULL: there never is. On the loop's thread.
	int (*interrupt_fd)(void *opaque, uint32_t queue);
};

struct virtio_queue {
	struct virtio_dev *d;
	uint32_t index;
	int kick_fd; // eventfd: written by KVM (ioeventfd) or virtio_notify(); never read

	// Registers.
	uint16_t size, max_size;
	uint64_t desc, avail, used;
	bool enabled, resetting;
	bool start_asked; // enabled while the device runs, not yet taken in by the loop
	uint16_t last_avail, used_idx; // where the rings start: 0, or from a saved state

	// The loop's.
	struct vq vq;
	bool live; // the ring may be used
	bool stopping; // queue_stop() was called
	int handle; // the loop's source for kick_fd; -1 while it is lent

	_Atomic uint64_t kicks, interrupts;
};

enum virtio_phase {
	VIRTIO_IDLE, // the loop has nothing of it: a reset is done on the spot
	VIRTIO_RUNNING, // the loop starts or serves it
	VIRTIO_STOPPING, // the loop was asked to let go; registers are frozen
};

struct virtio_dev {
	struct dev dev;
	const struct virtio_ops *ops;
	const struct virtio_transport *transport;
	void *transport_opaque;
	struct gmem *mem;
	struct gmem_dev gdev; // whom gmem_at() asks and counts for
	struct loop *loop;
	uint32_t device_id; // virtio 1.2, section 5
	uint32_t queue_count;
	struct virtio_queue *queue;

	// Registers.
	uint64_t offered, required, acked; // feature bits; required: refused without them
	uint8_t status;
	uint8_t generation; // of the configuration space
	bool legacy; // no FEATURES_OK, live from the first enabled queue on (2.7.4 of virtio 0.9.5)
	uint32_t config_len;
	uint8_t config[VIRTIO_CONFIG_MAX], config_wmask[VIRTIO_CONFIG_MAX];
	uint32_t requests; // to the loop
	_Atomic uint32_t phase; // enum virtio_phase; changed under the lock, also a futex
	_Atomic uint32_t quiet; // a pause was asked for and is reached; also a futex
	_Atomic bool broken; // NEEDS_RESET is set

	// The loop's.
	int request_fd, request_handle;
	bool started; // start() has succeeded and stop() was not called
	bool paused;

	_Atomic uint64_t starts, resets, faults, refused, ignored, config_interrupts;
};

struct virtio_setup {
	uint32_t device_id;
	uint64_t features; // the device's own, beside VIRTIO_COMMON_FEATURES
	uint32_t queue_count;
	const uint16_t *queue_size; // of each: a power of two up to VQ_MAX_SIZE
	uint32_t config_len;
	struct gmem *mem;
	struct loop *loop;
	const struct virtio_ops *ops;
};

// -EINVAL (counts or sizes out of bounds), -ENOMEM, or what eventfd(2) or the loop answered. After
// a failure virtio_deinit() is not needed.
int virtio_init(struct virtio_dev *d, const struct virtio_setup *setup);
// The device is idle (virtio_wait_idle()) or its loop has ended.
void virtio_deinit(struct virtio_dev *d);

static inline bool virtio_has(const struct virtio_dev *d, uint32_t feature)
{
	return d->acked >> feature & 1;
}

// On the loop's thread: whether rings may be used now. A device asks before it takes a buffer for
// something that did not come from a kick (input from the host).
static inline bool virtio_live(const struct virtio_dev *d)
{
	const struct virtio_transport *t = d->transport;

	return d->started && !d->paused &&
	       !atomic_load_explicit(&d->broken, memory_order_relaxed) &&
	       (!t->may_dma || t->may_dma(d->transport_opaque));
}

static inline bool virtio_queue_live(const struct virtio_dev *d, uint32_t queue)
{
	return virtio_live(d) && d->queue[queue].live && !d->queue[queue].stopping;
}

// The driver wants to hear of used buffers, as vq_flush() said. Any thread, no lock held.
void virtio_interrupt(struct virtio_dev *d, uint32_t queue);
// New bytes in configuration space, with a new generation; an interrupt if the driver is ready. Any
// thread, no lock held.
void virtio_config_changed(struct virtio_dev *d, uint32_t offset, const void *bytes, uint32_t len);
// Nothing more is served until the driver resets the device; it is told, and so is Python. Any
// thread, no lock held.
void virtio_needs_reset(struct virtio_dev *d, enum virtio_fault why);
// Gives the queue another kick(), after whatever else the loop has to do. Any thread.
void virtio_again(struct virtio_dev *d, uint32_t queue);
// Leaves a live queue's kicks to somebody else (vhost, with kick_fd), and takes them back: -errno
// if the loop refuses. On the loop's thread.
void virtio_queue_lend(struct virtio_dev *d, uint32_t queue);
int virtio_queue_reclaim(struct virtio_dev *d, uint32_t queue);
// Ends of stop() and queue_stop(), and of quiesce(). On the loop's thread.
void virtio_stopped(struct virtio_dev *d);
void virtio_queue_stopped(struct virtio_dev *d, uint32_t queue);
void virtio_quiesced(struct virtio_dev *d);

// --- For the machine: any thread, no lock held.

// A reset as by the driver; virtio_wait_idle() tells when it is done.
void virtio_ask_reset(struct virtio_dev *d);
// 0, or -ETIMEDOUT after `ms` milliseconds. Not on the loop's thread.
int virtio_wait_idle(struct virtio_dev *d, uint32_t ms);
// virtio_wait_quiet() tells when nothing is under way; resume serves the rings again.
void virtio_ask_pause(struct virtio_dev *d);
int virtio_wait_quiet(struct virtio_dev *d, uint32_t ms);
void virtio_ask_resume(struct virtio_dev *d);
// Does what was asked of the loop on the calling thread, for when nobody is inside the loop.
void virtio_service(struct virtio_dev *d);

#define VIRTIO_STATE_VERSION 1

struct virtio_state {
	uint32_t version;
	uint32_t queue_count;
	uint32_t config_len;
	uint64_t acked;
	uint8_t status, generation;
	uint8_t running; // the rings are (to be) served
	uint8_t config[VIRTIO_CONFIG_MAX];
	// Of each queue.
	uint8_t enabled[VIRTIO_MAX_QUEUES];
	uint16_t size[VIRTIO_MAX_QUEUES];
	uint16_t last_avail[VIRTIO_MAX_QUEUES], used_idx[VIRTIO_MAX_QUEUES];
	uint64_t desc[VIRTIO_MAX_QUEUES], avail[VIRTIO_MAX_QUEUES], used[VIRTIO_MAX_QUEUES];
};

// The device is idle or quiet and no vCPU runs, else -EBUSY.
int virtio_save(struct virtio_dev *d, struct virtio_state *ret);
// Into an idle device, after the state of the device itself and of its transport: the rings are
// served from here on if they were. -EINVAL, with nothing changed: another version, another kind of
// device, or registers that cannot be. -EBUSY: not idle.
int virtio_load(struct virtio_dev *d, const struct virtio_state *state);

struct virtio_counters {
	uint64_t starts, resets, faults, refused, ignored, config_interrupts;
	uint64_t kicks, interrupts; // of all queues
};
void virtio_counters(struct virtio_dev *d, struct virtio_counters *ret);

#endif
