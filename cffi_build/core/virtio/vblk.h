// SPDX-License-Identifier: Apache-2.0
// virtio block device (virtio 1.2, section 5.2) on a back-end of blk.h.
//
// Everything here runs on the device's loop. Requests are taken from the rings as they are found,
// as many as a ring has, handed to the back-end together, and given back as they end.
#ifndef VMM_VBLK_H
#define VMM_VBLK_H

#include <linux/virtio_blk.h>

#include "blk.h"
#include "virtio.h"

enum {
	VBLK_QUEUE_SIZE = 256,
	VBLK_SEG_MAX = VBLK_QUEUE_SIZE - 2, // pieces of data beside header and status
	// As long as a chain may be, and some more for pieces that lie across regions of memory.
	VBLK_PIECES = VBLK_QUEUE_SIZE + 8,
	VBLK_MAX_QUEUES = 64,
	VBLK_MAX_DISCARD_SECTORS = 1 << 22, // of a segment: 2 GiB, also of zeros
	VBLK_SEGMENTS = 16, // of a request that discards or writes zeros
};

// A request failed on the host; value: errno. Posted for `source` as the transport's events are.
#define VBLK_EVENT_ERROR (VIRTIO_EVENT_LAST + 32)

struct vblk_setup {
	struct gmem *mem;
	struct loop *loop;
	struct blk *blk; // the caller's; closed after the device
	uint64_t sectors;
	uint32_t queues;
	bool read_only;
	uint32_t block_size, physical_size; // bytes, powers of two, of at least a sector
	uint32_t min_io, opt_io, alignment; // blocks: topology of 5.2.4
	uint8_t serial[VIRTIO_BLK_ID_BYTES];
};

struct vblk;

struct vblk_request {
	struct blk_request blk;
	struct vblk *v;
	struct vblk_request *next; // free
	uint8_t *status; // where it goes, in the guest's memory
	uint16_t queue, head;
	bool in_cache; // counted in struct vblk
	uint32_t in_len; // bytes of the chain that the device writes
	uint32_t segments, segments_begun;
	struct virtio_blk_discard_write_zeroes segment[VBLK_SEGMENTS];
	struct iovec piece[VBLK_PIECES];
};

struct vblk_queue {
	struct vblk_request *request; // as many as the queue has entries
	struct vblk_request *free;
	uint32_t fresh; // requests from here on were never used
	uint32_t in_flight;
	bool used; // something was pushed and not flushed
};

struct vblk {
	struct virtio_dev vdev;
	struct blk *blk;
	uint64_t sectors;
	bool read_only;
	bool stopping, queue_stopping; // as soon as nothing is under way
	uint32_t queues, in_flight;
	uint32_t in_cache; // of those the ones that leave their bytes in a cache of the host
	uint8_t serial[VIRTIO_BLK_ID_BYTES];
	struct vblk_queue *queue;
	struct blk_request sync; // of writes before the cache was turned off
	bool syncing;
	_Atomic bool sync_owed;
	_Atomic bool writeback; // the configuration's field
	_Atomic uint64_t unsupported, rejected, failed;
};

#define VBLK_STATE_VERSION 1

struct vblk_state {
	uint32_t version;
	uint64_t sectors;
	uint8_t read_only;
};

struct vblk_counters {
	uint64_t unsupported; // requests answered with VIRTIO_BLK_S_UNSUPP
	uint64_t rejected; // and with S_IOERR: out of range, not of whole sectors, a write to a
			   // read-only disk
	uint64_t failed; // and with S_IOERR because the host failed
};

// NULL: no memory, no eventfd, or a setup that cannot be; errno says.
struct vblk *vblk_create(const struct vblk_setup *setup);
// See virtio_deinit().
void vblk_destroy(struct vblk *v);
// The file has grown or shrunk; the driver is told. On the loop's thread.
void vblk_resize(struct vblk *v, uint64_t sectors);
// Nothing is under way.
void vblk_save(struct vblk *v, struct vblk_state *ret);
int vblk_load(struct vblk *v, const struct vblk_state *state);
void vblk_counters(struct vblk *v, struct vblk_counters *ret);

#endif
