// SPDX-License-Identifier: Apache-2.0
#include "xblk.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "xblk_impl.h"
#include "xenbytes.h"

// --- What happens

static void show(struct xblk_queue *q)
{
	if (q->handle >= 0 && xring_show(&q->ring)) {
		q->x->counters.calls++;
		xenbytes_tell(q->call);
	}
}

static void work(struct xblk_queue *q)
{
	struct xblk *x = q->x;

	if (q->handle < 0 || x->paused || x->broken)
		return;
	xblk_take(q);
	blk_kick(x->blk);
	show(q);
}

static void on_kick(void *opaque, uint32_t events)
{
	struct xblk_queue *q = opaque;

	(void)events;
	if (q->handle < 0)
		return;
	xenbytes_drain(q->kick);
	q->x->counters.kicks++;
	work(q);
}

// Requests have ended: see blk_connect().
static void on_batch(void *opaque)
{
	struct xblk *x = opaque;

	for (uint32_t i = 0; i < x->queues; i++)
		show(&x->queue[i]);
}

// --- Its life

static bool make_queue(struct xblk_queue *q, struct xblk *x)
{
	q->x = x;
	q->handle = -1;
	q->request = calloc(XBLK_REQUESTS, sizeof(*q->request));
	if (!q->request)
		return false;
	for (uint32_t i = 0; i < XBLK_REQUESTS; i++) {
		q->request[i].q = q;
		q->request[i].next = q->free;
		q->free = &q->request[i];
	}
	return true;
}

static void free_all(struct xblk *x)
{
	for (uint32_t i = 0; i < x->queues; i++)
		free(x->queue[i].request);
	free(x);
}

struct xblk *xblk_create(const struct xblk_setup *setup)
{
	errno = EINVAL;
	if (!setup->queues || setup->queues > XBLK_MAX_QUEUES)
		return NULL;
	struct xblk *x = calloc(1, sizeof(*x) + (size_t)setup->queues * sizeof(x->queue[0]));
	if (!x)
		return NULL;
	x->grants = setup->grants;
	x->loop = setup->loop;
	x->blk = setup->blk;
	x->sectors = setup->sectors;
	x->read_only = setup->read_only;
	for (; x->queues < setup->queues; x->queues++) {
		if (!make_queue(&x->queue[x->queues], x)) {
			free_all(x);
			return NULL;
		}
	}
	blk_connect(x->blk, on_batch, x);
	return x;
}

void xblk_destroy(struct xblk *x)
{
	if (!x)
		return;
	loop_forget(x->loop, x);
	free_all(x);
}

int xblk_connect(struct xblk *x, uint32_t queue, const struct xblk_link *link)
{
	const uint32_t pages = link->pages;

	if (queue >= x->queues || !pages || pages > XBLK_RING_PAGES || pages & (pages - 1))
		return -EINVAL;
	struct xblk_queue *q = &x->queue[queue];
	if (q->handle >= 0 || atomic_load(&q->in_flight))
		return -EBUSY;
	int err = xring_map(&q->ring, x->grants, link->refs, pages, 32 * pages,
			    link->narrow ? XBLK_ENTRY32 : XBLK_ENTRY);
	if (err)
		return err;
	q->kick = link->kick;
	q->call = link->call;
	q->narrow = link->narrow;
	x->broken = false;
	int handle = loop_add(x->loop, q->kick, EPOLLIN, on_kick, q);
	if (handle < 0) {
		xring_unmap(&q->ring, x->grants);
		return handle;
	}
	q->handle = handle;
	xenbytes_tell(q->kick); // what came before
	return 0;
}

void xblk_disconnect(struct xblk *x)
{
	for (uint32_t i = 0; i < x->queues; i++) {
		struct xblk_queue *q = &x->queue[i];
		int handle = q->handle;
		q->handle = -1;
		if (handle >= 0)
			loop_remove(x->loop, handle);
		xring_unmap(&q->ring, x->grants);
	}
}

void xblk_pause(struct xblk *x, bool paused)
{
	x->paused = paused;
	for (uint32_t i = 0; i < x->queues && !paused; i++)
		work(&x->queue[i]);
}

uint32_t xblk_in_flight(struct xblk *x)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < x->queues; i++)
		total += atomic_load(&x->queue[i].in_flight);
	return total;
}

void xblk_counters(struct xblk *x, struct xblk_counters *ret)
{
	*ret = x->counters;
}
