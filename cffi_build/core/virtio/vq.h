// SPDX-License-Identifier: Apache-2.0
// A split virtqueue as its device sees it (virtio 1.2, section 2.7).
//
// Everything in the rings and descriptors is the guest's and may change at any moment. Each value
// is read once; a chain is checked whole (indices, loops, order of directions, addresses, lengths,
// number of pieces) before the device sees it, and no loop runs longer than the queue or an
// indirect table of VQ_MAX_SIZE entries. A ring that breaks the rules is broken for good: `broken`
// says why, vq_pop() gives nothing any more, and the device asks for a reset.
//
// One thread at a time uses a queue: that of the device's loop. Rings are translated once and again
// when the memory map has changed; a ring lies within one region. Devices treat the struct as
// opaque.
#ifndef VMM_VQ_H
#define VMM_VQ_H

#include <sys/uio.h>

#include "base.h"
#include "gmem.h"

enum {
	VQ_MAX_SIZE = 1024, // entries of a queue, and of an indirect table
};

struct vring_desc;
struct vring_avail;
struct vring_used;

struct vq_config {
	uint64_t desc, avail, used; // guest-physical addresses
	uint16_t size;
	uint16_t last_avail, used_idx; // next entry of each ring, 0 for a fresh queue
	bool event_idx, indirect; // negotiated features
};

struct vq_chain {
	uint16_t head;
	uint32_t out_count, in_count; // pieces: those the device reads, then those it writes
	uint64_t out_len, in_len; // bytes in them; a descriptor of length 0 has no piece
	struct iovec *piece; // the caller's storage, `cap` entries
	uint32_t cap;
};

struct vq_counts {
	uint64_t chains; // popped, without those given back
	uint64_t bytes; // that the device could read, and that it has written
	uint64_t interrupts; // flushes that asked for one
};

struct vq_rings {
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint32_t size;
	uint16_t next; // entry of the available ring
};

struct vq {
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail; // next entry to take
	uint16_t avail_idx; // the driver's index when last read
	uint16_t used_idx; // next entry to fill
	uint16_t flushed; // the driver's view of used_idx
	uint32_t mask; // entries - 1
	int broken; // 0, or the -errno that vq_pop() gave
	uint64_t generation; // of the memory map that the pointers belong to
	struct gmem *mem;
	struct gmem_dev *dev;
	struct vq_config config;
	uint64_t popped_bytes; // that could be read, of the chain popped last
	uint16_t popped_head;
	// One writer, any readers: they go on over vq_start(), so the struct starts as zeros.
	_Atomic uint64_t chains, bytes, interrupts;
	bool in_flight[VQ_MAX_SIZE]; // heads popped and not pushed
};

// -EINVAL (size not a power of two or above VQ_MAX_SIZE, addresses not aligned as 2.7 demands, more
// chains in flight than the queue has), -EFAULT (a ring is not within one region of memory),
// -EROFS. The queue can be used after 0 only. GUEST: all of the configuration is hostile.
int vq_start(struct vq *q, struct gmem *m, struct gmem_dev *dev, const struct vq_config *c);
// No more use of the rings. ret, if not NULL, gets a configuration that vq_start() takes to go on,
// provided that every chain popped was pushed.
void vq_stop(struct vq *q, struct vq_config *ret);

// Takes the next chain. 1, 0 (none), or why the ring is broken, now and from here on:
// -ERANGE   the available index ran ahead by more than the queue has, or backwards
// -ENXIO    an index outside the descriptor table
// -EEXIST   a chain that the device still has
// -ELOOP    more descriptors than the table has
// -EPROTO   a device-readable descriptor after a device-writable one; an indirect one that was not
//           negotiated, inside a table, or with a next one
// -EINVAL   an indirect table of no or more than VQ_MAX_SIZE descriptors, or not of whole ones
// -EFAULT   an address that is not memory (or what the DMA window says), -EROFS
// -EOVERFLOW more than 4 GiB in one chain (2.7.5)
// -E2BIG    more than ret->cap pieces
// -ESHUTDOWN the queue is stopped
// ret->piece and ret->cap are the caller's; with 1 the rest is filled.
int vq_pop(struct vq *q, struct vq_chain *ret);
// Gives back the chain popped last; nothing was popped since, and it was not pushed.
void vq_unpop(struct vq *q);
// The same for several, the one popped last first: what vq_pop() said of each.
void vq_unpop_chain(struct vq *q, uint16_t head, uint64_t out_len);
// The driver may have taken back chains that were not popped, as its protocol with the device
// allows it (a console's port that was removed): what was seen of its index counts no more.
void vq_look_again(struct vq *q);
// Fills a used element; the driver sees it after vq_flush(). written: bytes, from the beginning of
// the device-writable pieces on.
void vq_push(struct vq *q, uint16_t head, uint32_t written);
// Shows the driver what was pushed. True: it wants an interrupt for that.
bool vq_flush(struct vq *q);
// The driver notifies from here on. True: chains became available before it could know; look again.
bool vq_kicks_on(struct vq *q);
// It need not notify; it may.
void vq_kicks_off(struct vq *q);
bool vq_empty(struct vq *q);
// Where the rings are in this process: 0, or why the queue is broken.
int vq_rings(struct vq *q, struct vq_rings *ret);
// Somebody else (vhost) has served the rings up to this entry of both; no chain is in flight.
void vq_seek(struct vq *q, uint16_t index);
// Callable on any thread.
void vq_counts(struct vq *q, struct vq_counts *ret);

#endif
