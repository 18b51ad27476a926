// SPDX-License-Identifier: Apache-2.0
// Xen's block device, the back-end's side (xen/include/public/io/blkif.h), on a back-end of blk.h.
//
// One ring of up to four pages, which the guest grants; requests name granted pages for their data,
// in the ring or, more of them, in further granted pages. Everything runs on the loop's thread.
#ifndef VMM_XBLK_H
#define VMM_XBLK_H

#include "blk.h"
#include "gnttab.h"
#include "loop.h"

enum {
	XBLK_RING_ORDER = 2, // pages of a ring: a power of two, 4 at most
	XBLK_RING_PAGES = 1 << XBLK_RING_ORDER,
	XBLK_REQUESTS = 128, // in a ring of that many
	XBLK_SEGMENTS = 11, // of a request in the ring
	XBLK_INDIRECT = 256, // of one whose segments are elsewhere
	// Posted with the device as source: the guest broke the ring, or the host failed a request;
	// value: 0, or errno.
	XBLK_EVENT = LOOP_USER + 41,
	XBLK_IDLE, // disconnected, and nothing is under way any more
};

struct xblk;

struct xblk_ref {
	uint32_t ref;
	bool write;
};

struct xblk_request {
	struct blk_request blk;
	struct xblk *x;
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
};

struct xblk {
	struct gnttab *grants;
	struct loop *loop;
	struct blk *blk;
	uint64_t sectors;
	bool read_only;
	bool broken, paused;
	int handle, kick, call; // -1: not connected
	uint32_t pages, ring_ref[XBLK_RING_PAGES];
	uint8_t *page[XBLK_RING_PAGES];
	uint32_t size; // entries of the ring
	uint32_t req_cons, rsp_prod; // ours
	uint32_t shown; // of rsp_prod
	_Atomic uint32_t in_flight;
	struct xblk_request *request, *free; // XBLK_REQUESTS
	struct xblk_counters counters;
};

// NULL with errno set.
struct xblk *xblk_create(const struct xblk_setup *setup);
// Disconnected before, with nothing under way.
void xblk_destroy(struct xblk *x);
// The rest on the loop's thread, or while nobody is inside the loop.
//
// Maps the ring that the guest grants in `pages` pages, a power of two, and serves it. -EINVAL and
// what gnttab_map() has.
int xblk_connect(struct xblk *x, const uint32_t *refs, uint32_t pages, int kick, int call);
// Takes no more requests, and tells the guest nothing. Those under way go on: what they touch is
// given back as they end, see xblk_in_flight().
void xblk_disconnect(struct xblk *x);
// Takes no requests until the next call with false.
void xblk_pause(struct xblk *x, bool paused);
// Requests under way. Any thread.
uint32_t xblk_in_flight(struct xblk *x);
void xblk_counters(struct xblk *x, struct xblk_counters *ret);

#endif
