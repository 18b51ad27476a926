// SPDX-License-Identifier: Apache-2.0
// A ring of requests and answers in pages that a Xen guest grants (xen/include/public/io/ring.h).
// Our indices are kept here, so that what a guest writes over them moves nothing.
//
// A request keeps its entry until its answer, so the guest's index is bounded by both of ours.
#ifndef VMM_XRING_H
#define VMM_XRING_H

#include "gnttab.h"

enum {
	XRING_PAGES = 4,
	// struct xxx_sring
	XRING_REQ_PROD = 0,
	XRING_REQ_EVENT = 4,
	XRING_RSP_PROD = 8,
	XRING_RSP_EVENT = 12,
	XRING_FIRST = 64, // entry
};

struct xring {
	uint8_t *page[XRING_PAGES];
	uint32_t ref[XRING_PAGES];
	uint32_t pages; // mapped
	uint32_t size, entry; // how many, a power of two, and bytes of one
	uint32_t req_cons, rsp_prod; // ours
	uint32_t shown; // of rsp_prod
};

static inline void xring_unmap(struct xring *r, struct gnttab *grants)
{
	while (r->pages)
		gnttab_unmap(grants, r->ref[--r->pages], true);
}

// An empty ring in pages that the guest grants. 0 or as gnttab_map().
static inline int xring_map(struct xring *r, struct gnttab *grants, const uint32_t *refs,
			    uint32_t pages, uint32_t size, uint32_t entry)
{
	*r = (struct xring){ .size = size, .entry = entry };
	for (; r->pages < pages; r->pages++) {
		void *at;
		int err = gnttab_map(grants, refs[r->pages], true, &at);
		if (err) {
			xring_unmap(r, grants);
			return err;
		}
		r->ref[r->pages] = refs[r->pages];
		r->page[r->pages] = at;
	}
	return 0;
}

static inline uint32_t *xring_word(const struct xring *r, uint32_t at)
{
	return (uint32_t *)(r->page[0] + at);
}

// Copies between an entry's first bytes and memory of ours.
static inline void xring_copy(const struct xring *r, uint32_t index, void *mine, uint32_t len,
			      bool to_ring)
{
	uint32_t at = XRING_FIRST + (index & (r->size - 1)) * r->entry;
	uint8_t *buf = mine;

	while (len) {
		uint8_t *there = r->page[at / GNTTAB_PAGE] + at % GNTTAB_PAGE;
		uint32_t room = GNTTAB_PAGE - at % GNTTAB_PAGE, n = len < room ? len : room;
		if (to_ring)
			memcpy(there, buf, n);
		else
			memcpy(buf, there, n); // GUEST: the copy counts
		at += n;
		buf += n;
		len -= n;
	}
}

static inline void xring_get(const struct xring *r, uint32_t index, void *ret, uint32_t len)
{
	xring_copy(r, index, ret, len, false);
}

// The next answer; not visible yet.
static inline void xring_put(struct xring *r, void *answer, uint32_t len)
{
	xring_copy(r, r->rsp_prod++, answer, len, true);
}

// How many requests there are beyond ours (acquire), -EIO for an index that cannot be.
static inline int xring_waiting(const struct xring *r)
{
	// GUEST:
	uint32_t prod = __atomic_load_n(xring_word(r, XRING_REQ_PROD), __ATOMIC_ACQUIRE);

	if (prod - r->rsp_prod > r->size || prod - r->req_cons > r->size)
		return -EIO;
	return (int)(prod - r->req_cons);
}

// Asks to be told of the `count`th request beyond ours. What was there already is not told: look
// again (sequentially consistent).
static inline void xring_listen(const struct xring *r, uint32_t count)
{
	__atomic_store_n(xring_word(r, XRING_REQ_EVENT), r->req_cons + count, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Shows the guest the answers that there are; whether it wants to be told.
static inline bool xring_show(struct xring *r)
{
	uint32_t old = r->shown, now = r->rsp_prod;

	if (old == now)
		return false;
	r->shown = now;
	__atomic_store_n(xring_word(r, XRING_RSP_PROD), now, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	// GUEST: tell it if this passes the answer it waits for.
	uint32_t event = __atomic_load_n(xring_word(r, XRING_RSP_EVENT), __ATOMIC_ACQUIRE);
	return now - event < now - old;
}

#endif
