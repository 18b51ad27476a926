// SPDX-License-Identifier: Apache-2.0
// Xen's network device: its life, kicks, and the tap's events.
#include "xnet.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "xnet_impl.h"

enum {
	WANT_FIRST = 1514, // bytes of a frame before any came
};

// --- What is told

void xnet_tell(struct xnet *x, enum xnet_news what)
{
	loop_post_once(x->loop, XNET_EVENT, what, x);
}

int xnet_break(struct xnet *x, enum xnet_news why)
{
	x->broken = true;
	x->counters.broken++;
	xnet_tell(x, why);
	return -EIO;
}

void xnet_listen(struct xnet_queue *q)
{
	uint32_t events = EPOLLET;

	events |= q->rx_muted ? 0 : EPOLLIN;
	events |= q->tx_waits ? EPOLLOUT : 0;
	if (q->tap_handle >= 0)
		loop_modify(q->x->loop, q->tap_handle, events);
}

static void forget(struct xnet_queue *q, int *handle)
{
	if (*handle >= 0)
		loop_remove(q->x->loop, *handle);
	*handle = -1;
}

void xnet_lost(struct xnet_queue *q)
{
	if (q->tap_handle < 0)
		return;
	forget(q, &q->tap_handle);
	q->x->counters.lost++;
	xnet_tell(q->x, XNET_LOST);
}

// --- What happens

static bool is_served(const struct xnet_queue *q)
{
	return q->live && !q->x->paused && !q->x->broken;
}

static void serve_tx(struct xnet_queue *q)
{
	if (is_served(q))
		xnet_tx(q);
}

static void serve_rx(struct xnet_queue *q)
{
	if (is_served(q))
		xnet_rx(q);
}

static void on_tx_kick(void *opaque, uint32_t events)
{
	struct xnet_queue *q = opaque;

	(void)events;
	if (!q->live)
		return;
	xenbytes_drain(q->link.tx_kick);
	q->x->counters.kicks++;
	serve_tx(q);
	if (q->link.rx_kick == q->link.tx_kick)
		serve_rx(q);
}

static void on_rx_kick(void *opaque, uint32_t events)
{
	struct xnet_queue *q = opaque;

	(void)events;
	if (!q->live)
		return;
	xenbytes_drain(q->link.rx_kick);
	q->x->counters.kicks++;
	serve_rx(q);
}

static void on_tap(void *opaque, uint32_t events)
{
	struct xnet_queue *q = opaque;

	if (!q->live || q->tap_handle < 0)
		return;
	if (q->tx_waits && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		q->tx_waits = false;
		xnet_listen(q);
		serve_tx(q);
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	if (events & EPOLLERR && q->x->tap && tap_gone(q->fd))
		xnet_lost(q);
	if (is_served(q) && !q->rx_waits) {
		xnet_rx(q);
	} else { // until there is a kick
		q->rx_muted = true;
		xnet_listen(q);
	}
}

// --- Its life

struct xnet *xnet_create(const struct xnet_setup *setup)
{
	errno = EINVAL;
	if (!setup->queues || setup->queues > XNET_MAX_QUEUES)
		return NULL;
	struct xnet *x = calloc(1, sizeof(*x) + (size_t)setup->queues * sizeof(x->queue[0]));
	if (!x)
		return NULL;
	x->grants = setup->grants;
	x->loop = setup->loop;
	x->queues = setup->queues;
	x->tap = setup->tap;
	for (uint32_t i = 0; i < x->queues; i++) {
		struct xnet_queue *q = &x->queue[i];
		q->x = x;
		q->fd = setup->fd[i];
		q->tap_handle = q->tx_handle = q->rx_handle = -1;
	}
	return x;
}

void xnet_destroy(struct xnet *x)
{
	if (!x)
		return;
	loop_forget(x->loop, x);
	free(x);
}

static void leave(struct xnet_queue *q)
{
	q->live = false;
	forget(q, &q->tx_handle);
	forget(q, &q->rx_handle);
	forget(q, &q->tap_handle);
	xring_unmap(&q->tx, q->x->grants);
	xring_unmap(&q->rx, q->x->grants);
}

static int map_rings(struct xnet_queue *q)
{
	struct gnttab *grants = q->x->grants;
	// 336 and 504 entries fit into a page.
	int err = xring_map(&q->tx, grants, &q->link.tx_ref, 1, XNET_RING, 12);

	return err ? err : xring_map(&q->rx, grants, &q->link.rx_ref, 1, XNET_RING, 8);
}

static int watch(struct xnet_queue *q)
{
	struct loop *loop = q->x->loop;

	q->tx_handle = loop_add(loop, q->link.tx_kick, EPOLLIN, on_tx_kick, q);
	if (q->tx_handle < 0)
		return q->tx_handle;
	if (q->link.rx_kick != q->link.tx_kick) {
		q->rx_handle = loop_add(loop, q->link.rx_kick, EPOLLIN, on_rx_kick, q);
		if (q->rx_handle < 0)
			return q->rx_handle;
	}
	q->tap_handle = loop_add(loop, q->fd, EPOLLIN | EPOLLET, on_tap, q);
	return q->tap_handle < 0 ? q->tap_handle : 0;
}

int xnet_connect(struct xnet *x, uint32_t queue, const struct xnet_link *link, uint32_t takes)
{
	if (queue >= x->queues)
		return -EINVAL;
	struct xnet_queue *q = &x->queue[queue];
	if (q->live)
		return -EBUSY;
	q->link = *link;
	q->tx_waits = q->rx_waits = q->rx_muted = false;
	q->rx_want = WANT_FIRST;
	q->held_len = 0;
	int err = map_rings(q);
	if (!err)
		err = watch(q);
	if (err) {
		leave(q);
		return err;
	}
	x->takes = takes;
	x->broken = false;
	q->live = true;
	xenbytes_tell(link->tx_kick); // what came before
	xenbytes_tell(link->rx_kick);
	return 0;
}

void xnet_disconnect(struct xnet *x)
{
	for (uint32_t i = 0; i < x->queues; i++)
		leave(&x->queue[i]);
}

void xnet_pause(struct xnet *x, bool paused)
{
	x->paused = paused;
	for (uint32_t i = 0; i < x->queues && !paused; i++) {
		serve_tx(&x->queue[i]);
		serve_rx(&x->queue[i]);
	}
}

void xnet_counters(struct xnet *x, struct xnet_counters *ret)
{
	*ret = x->counters;
}
