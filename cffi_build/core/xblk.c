// SPDX-License-Identifier: Apache-2.0
#include "xblk.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "xblk_impl.h"
#include "xenbytes.h"

// --- The ring

void xblk_ring_copy(struct xblk *x, uint32_t at, void *mine, uint32_t len, bool to_ring)
{
	uint8_t *buf = mine;

	while (len) {
		uint8_t *there = x->page[at / GNTTAB_PAGE] + at % GNTTAB_PAGE;
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

uint32_t *xblk_word(struct xblk *x, uint32_t at)
{
	return (uint32_t *)(x->page[0] + at);
}

void xblk_show(struct xblk *x)
{
	uint32_t old = x->shown, now = x->rsp_prod;

	if (x->handle < 0 || old == now)
		return;
	x->shown = now;
	xenbytes_show(xblk_word(x, XBLK_RSP_PROD), now);
	// GUEST: tell it if this passes the answer it waits for.
	uint32_t event = __atomic_load_n(xblk_word(x, XBLK_RSP_EVENT), __ATOMIC_ACQUIRE);
	if (now - event < now - old) {
		x->counters.calls++;
		xenbytes_tell(x->call);
	}
}

static void work(struct xblk *x)
{
	if (x->handle < 0 || x->paused || x->broken)
		return;
	xblk_take(x);
	blk_kick(x->blk);
	xblk_show(x);
}

static void on_kick(void *opaque, uint32_t events)
{
	struct xblk *x = opaque;

	(void)events;
	if (x->handle < 0)
		return;
	xenbytes_drain(x->kick);
	x->counters.kicks++;
	work(x);
}

// Requests have ended: see blk_connect().
static void on_batch(void *opaque)
{
	struct xblk *x = opaque;

	xblk_show(x);
}

// --- Its life

struct xblk *xblk_create(const struct xblk_setup *setup)
{
	struct xblk *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->request = calloc(XBLK_REQUESTS, sizeof(*x->request));
	if (!x->request) {
		free(x);
		return NULL;
	}
	x->grants = setup->grants;
	x->loop = setup->loop;
	x->blk = setup->blk;
	x->sectors = setup->sectors;
	x->read_only = setup->read_only;
	x->handle = -1;
	for (uint32_t i = 0; i < XBLK_REQUESTS; i++) {
		x->request[i].x = x;
		x->request[i].next = x->free;
		x->free = &x->request[i];
	}
	blk_connect(x->blk, on_batch, x);
	return x;
}

void xblk_destroy(struct xblk *x)
{
	if (!x)
		return;
	loop_forget(x->loop, x);
	free(x->request);
	free(x);
}

static void unmap_ring(struct xblk *x)
{
	while (x->pages)
		gnttab_unmap(x->grants, x->ring_ref[--x->pages], true);
}

static int map_ring(struct xblk *x, const uint32_t *refs, uint32_t pages)
{
	for (; x->pages < pages; x->pages++) {
		void *at;
		int err = gnttab_map(x->grants, refs[x->pages], true, &at);
		if (err) {
			unmap_ring(x);
			return err;
		}
		x->ring_ref[x->pages] = refs[x->pages];
		x->page[x->pages] = at;
	}
	return 0;
}

int xblk_connect(struct xblk *x, const uint32_t *refs, uint32_t pages, int kick, int call)
{
	if (!pages || pages > XBLK_RING_PAGES || pages & (pages - 1))
		return -EINVAL;
	if (x->handle >= 0 || xblk_in_flight(x))
		return -EBUSY;
	int err = map_ring(x, refs, pages);
	if (err)
		return err;
	x->kick = kick;
	x->call = call;
	x->broken = false;
	x->size = 32 * pages;
	x->req_cons = x->rsp_prod = x->shown = 0;
	int handle = loop_add(x->loop, kick, EPOLLIN, on_kick, x);
	if (handle < 0) {
		unmap_ring(x);
		return handle;
	}
	x->handle = handle;
	xenbytes_tell(kick); // what came before
	return 0;
}

void xblk_disconnect(struct xblk *x)
{
	int handle = x->handle;

	x->handle = -1;
	if (handle >= 0)
		loop_remove(x->loop, handle);
	unmap_ring(x);
}

void xblk_pause(struct xblk *x, bool paused)
{
	x->paused = paused;
	if (!paused)
		work(x);
}

uint32_t xblk_in_flight(struct xblk *x)
{
	return atomic_load(&x->in_flight);
}

void xblk_counters(struct xblk *x, struct xblk_counters *ret)
{
	*ret = x->counters;
}
