// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <sys/epoll.h>

#include "xenbytes.h"
#include "xencon.h"

enum {
	// struct xencons_interface
	IN = 0,
	OUT = 1024,
	IN_CONS = 3072,
	IN_PROD = 3076,
	OUT_CONS = 3080,
	OUT_PROD = 3084,
	PAGE = 4096,
	ROUNDS = 8, // rings of output before it is another source's turn
	MUCH = XENCON_OUT / 8, // bytes, beyond which a guest may wait for more room
};

// The page, if the guest may be served now. The lock is held.
static uint8_t *page_of(struct xencon *c)
{
	struct gmem_piece piece;

	if (c->handle < 0 || c->paused || c->broken)
		return NULL;
	if (gmem_at(c->memory, &c->gmem_dev, c->page, PAGE, GMEM_WRITE, &piece, 1) != 1)
		return NULL;
	return piece.hva;
}

static struct xenbytes in_ring(uint8_t *page)
{
	return xenbytes_at(page, IN, XENCON_IN, IN_CONS, IN_PROD);
}

static struct xenbytes out_ring(uint8_t *page)
{
	return xenbytes_at(page, OUT, XENCON_OUT, OUT_CONS, OUT_PROD);
}

// GUEST: an impossible index. The console rests until it is connected anew.
static void give_up(struct xencon *c)
{
	c->broken = true;
	c->counters.broken++;
}

// A copy of what the guest has written, up to one ring of it; how many bytes.
static uint32_t fetch(struct xencon *c, uint8_t *ret, uint32_t *ret_life)
{
	LOCKED(&c->lock);
	uint8_t *page = page_of(c);

	*ret_life = c->life;
	if (!page)
		return 0;
	const struct xenbytes r = out_ring(page);
	int n = xenbytes_filled(&r, c->out_cons);
	if (n < 0) {
		give_up(c);
		return 0;
	}
	xenbytes_copy_out(&r, c->out_cons, ret, (uint32_t)n);
	return (uint32_t)n;
}

static void tell(struct xencon *c)
{
	c->counters.calls++;
	xenbytes_tell(c->call);
}

// The channel has taken so many of them. A guest is told only if it may wait for room: one that
// wrote into a ring with much of it left goes on by itself, and each event costs it an interrupt.
static void consumed(struct xencon *c, uint32_t n, uint32_t life)
{
	LOCKED(&c->lock);
	uint8_t *page = page_of(c);

	c->counters.tx_bytes += n;
	if (c->life != life)
		return; // connected anew meanwhile
	if (!page) {
		c->out_cons += n;
		return; // paused: shown when it goes on
	}
	const struct xenbytes r = out_ring(page);
	const uint32_t before = c->out_cons;
	c->out_cons += n;
	xenbytes_show(r.cons, c->out_cons);
	int filled = xenbytes_filled(&r, before); // as it was, or by now would have been
	if (filled < 0 || filled > MUCH)
		tell(c);
}

static void send(struct xencon *c)
{
	uint8_t buf[XENCON_OUT];
	uint32_t life;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t n = fetch(c, buf, &life);
		if (!n)
			return;
		size_t taken = chan_put(c->chan, buf, n);
		if (taken)
			consumed(c, (uint32_t)taken, life);
		if (taken < n) {
			LOCKED(&c->lock);
			c->counters.tx_blocked++;
			return; // on_tx_ready() goes on
		}
	}
	LOCKED(&c->lock);
	if (c->handle >= 0)
		xenbytes_tell(c->kick);
}

static void on_kick(void *opaque, uint32_t events)
{
	struct xencon *c = opaque;
	bool resume;

	(void)events;
	{
		LOCKED(&c->lock);
		if (c->handle < 0)
			return;
		xenbytes_drain(c->kick);
		c->counters.kicks++;
		resume = c->rx_waits;
		c->rx_waits = false;
	}
	send(c);
	if (resume)
		chan_rx_resume(c->chan);
}

static void on_tx_ready(void *opaque)
{
	send(opaque);
}

// What the guest has no room for waits until it sends its event again.
static size_t on_rx(void *opaque, const uint8_t *buf, size_t len)
{
	struct xencon *c = opaque;
	size_t done = 0;

	LOCKED(&c->lock);
	uint8_t *page = page_of(c);
	while (page && done < len) {
		const struct xenbytes r = in_ring(page);
		int room = xenbytes_room(&r, c->in_prod);
		if (room < 0)
			give_up(c);
		if (room <= 0)
			break;
		uint32_t n = (size_t)room < len - done ? (uint32_t)room : (uint32_t)(len - done);
		xenbytes_copy_in(&r, c->in_prod, buf + done, n);
		c->in_prod += n;
		xenbytes_show(r.prod, c->in_prod);
		done += n;
	}
	c->rx_waits = done < len;
	c->counters.rx_bytes += done;
	if (done)
		tell(c);
	return done;
}

struct xencon *xencon_create(struct gmem *memory, struct loop *loop, struct chan *chan)
{
	const struct chan_front front = { .rx = on_rx, .tx_ready = on_tx_ready };
	struct xencon *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	lock_init(&c->lock);
	c->memory = memory;
	c->loop = loop;
	c->chan = chan;
	c->handle = -1;
	struct chan_front own = front;
	own.opaque = c;
	chan_set_front(chan, &own);
	return c;
}

void xencon_destroy(struct xencon *c)
{
	if (!c)
		return;
	xencon_disconnect(c);
	chan_set_front(c->chan, NULL);
	free(c);
}

int xencon_connect(struct xencon *c, uint64_t page, int kick, int call)
{
	{
		LOCKED(&c->lock);
		if (c->handle >= 0)
			return -EBUSY;
		c->page = page;
		c->life++;
		c->kick = kick;
		c->call = call;
		c->in_prod = c->out_cons = 0;
		c->broken = false;
		int handle = loop_add(c->loop, kick, EPOLLIN, on_kick, c);
		if (handle < 0)
			return handle;
		c->handle = handle;
	}
	chan_rx_resume(c->chan);
	return 0;
}

void xencon_disconnect(struct xencon *c)
{
	int handle;

	{
		LOCKED(&c->lock);
		handle = c->handle;
		c->handle = -1;
	}
	if (handle >= 0)
		loop_remove(c->loop, handle);
}

void xencon_pause(struct xencon *c, bool paused)
{
	LOCKED(&c->lock);
	c->paused = paused;
	if (!paused && c->handle >= 0) {
		uint8_t *page = page_of(c);
		if (page)
			xenbytes_show(out_ring(page).cons, c->out_cons);
		c->rx_waits = true;
		xenbytes_tell(c->kick);
		tell(c);
	}
}

void xencon_counters(struct xencon *c, struct xencon_counters *ret)
{
	LOCKED(&c->lock);
	*ret = c->counters;
}
