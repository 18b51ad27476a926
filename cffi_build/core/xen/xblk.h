// SPDX-License-Identifier: Apache-2.0
// Xen's block device, the back-end's side (xen/include/public/io/blkif.h), on a back-end of blk.h.
//
// Rings of up to four pages, which the guest grants; requests name granted pages for their data, in
// the ring or, more of them, in further granted pages. Everything runs on the loop's thread.
#ifndef VMM_XBLK_H
#define VMM_XBLK_H

#include "blk.h"
#include "loop.h"
#include "xring.h"

enum {
	XBLK_RING_ORDER = 2, // pages of a ring: a power of two, 4 at most
	XBLK_RING_PAGES = 1 << XBLK_RING_ORDER,
	XBLK_MAX_QUEUES = 16,
	XBLK_REQUESTS = 128, // in a ring of that many pages
	XBLK_SEGMENTS = 11, // of a request in the ring
	XBLK_INDIRECT = 256, // of one whose segments are elsewhere
	// Posted with the device as source: the guest broke the ring, or the host failed a request;
	// value: 0, or errno.
	XBLK_EVENT = LOOP_USER + 41,
	XBLK_IDLE, // disconnected, and nothing is under way any more
};

struct xblk;
struct xblk_queue;

struct xblk_ref {
	uint32_t ref;
	bool write;
};

struct xblk_request {
	struct blk_request blk;
	struct xblk_queue *q;
	struct xblk_request *next; // free
	uint64_t id;
	uint8_t op; // the guest's
	uint32_t count; // of the following two
	struct xblk_ref ref[XBLK_INDIRECT];
	struct iovec iov[XBLK_INDIRECT];
};

struct xblk_counters {
	uint64_t requests, segments, indirect;
	uint64_t rejected; // out of range, a write to what is read-only, a wild grant
	uint64_t unsupported, failed;
	uint64_t broken; // times that an index of the ring was impossible
	uint64_t kicks, calls;
};

struct xblk_setup {
	struct gnttab *grants;
	struct loop *loop;
	struct blk *blk; // the caller's; closed after the device
	uint64_t sectors;
	bool read_only;
	uint32_t queues;
};

// The guest's end of one ring, as its driver says.
struct xblk_link {
	const uint32_t *refs;
	uint32_t pages; // a power of two
	int kick, call; // eventfds
	bool narrow; // entries as 32-bit x86 lays them out
};

struct xblk_queue {
	struct xblk *x;
	struct xring ring;
	int handle, kick, call; // handle -1: not connected
	bool narrow;
	_Atomic uint32_t in_flight;
	struct xblk_request *request, *free; // XBLK_REQUESTS
};

struct xblk {
	struct gnttab *grants;
	struct loop *loop;
	struct blk *blk;
	uint64_t sectors;
	bool read_only;
	bool broken, paused;
	struct xblk_counters counters;
	uint32_t queues;
	struct xblk_queue queue[];
};

// NULL with errno set.
struct xblk *xblk_create(const struct xblk_setup *setup);
// Disconnected before, with nothing under way.
void xblk_destroy(struct xblk *x);
// The rest on the loop's thread, or while nobody is inside the loop.
//
// Serves one more ring. -EINVAL, -EBUSY and what gnttab_map() has.
int xblk_connect(struct xblk *x, uint32_t queue, const struct xblk_link *link);
// Takes no more requests, and tells the guest nothing. Those under way go on: what they touch is
// given back as they end, see xblk_in_flight().
void xblk_disconnect(struct xblk *x);
// Takes no requests until the next call with false.
void xblk_pause(struct xblk *x, bool paused);
// Requests under way. Any thread.
uint32_t xblk_in_flight(struct xblk *x);
void xblk_counters(struct xblk *x, struct xblk_counters *ret);

#endif
