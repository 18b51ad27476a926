// SPDX-License-Identifier: Apache-2.0
// Whether a channel leads anywhere, as its front-end is told; and the buffer that is its own end.
#include "chan_impl.h"

// Context: lock held.
static bool connected(const struct chan *c)
{
	if (c->out == OUT_NONE)
		return c->out_silent;
	return c->out != OUT_WAITING || c->kept;
}

bool chan_connected(struct chan *c)
{
	LOCKED(&c->lock);
	return connected(c);
}

void chan_link_tell(struct chan *c)
{
	bool left, now;
	int was;
	{
		LOCKED(&c->lock);
		was = c->told_connected;
		left = c->departures != c->told_departures;
		now = connected(c);
		if (was == now && !(was && left))
			return;
		c->told_connected = now;
		c->told_departures = c->departures;
	}
	struct chan_front front = chan_front_enter(c);
	if (front.peer && was == 1 && now)
		front.peer(front.opaque, false);
	if (front.peer)
		front.peer(front.opaque, now);
	chan_front_leave(c);
}

size_t chan_take(struct chan *c, uint8_t *ret, size_t len)
{
	LOCKED(&c->lock);
	if (!c->kept)
		return 0;
	if (len > c->put_at - c->get_at)
		len = (size_t)(c->put_at - c->get_at);
	for (size_t i = 0; i < len; i++)
		ret[i] = c->ring[(c->get_at + i) & (c->size - 1)];
	c->get_at += len;
	c->lost = 0;
	chan_defer(c, CHAN_NOW_NS); // the front-end may wait for room
	return len;
}
