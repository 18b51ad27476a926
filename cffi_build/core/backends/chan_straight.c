// SPDX-License-Identifier: Apache-2.0
// Bytes straight between a channel's peer and memory that its front-end names, not by way of the
// ring or of `in`.
#include <sys/epoll.h>

#include "chan_impl.h"

ssize_t chan_straight_read(struct chan *c, bool *ret_short)
{
	struct iovec iov[CHAN_ROOM];
	size_t room = 0;
	ssize_t n;

	for (;;) {
		struct chan_front front = chan_front_enter(c);
		int count = front.room ? front.room(front.opaque, iov, CHAN_ROOM) : -1;
		n = count > 0 ? chan_in_read(c, iov, count) : count ? -ENOSYS : -ENOBUFS;
		if (count > 0)
			front.filled(front.opaque, n > 0 ? (size_t)n : 0);
		chan_front_leave(c);
		for (int i = 0; i < count; i++)
			room += iov[i].iov_len;
		if (count || chan_in_pause(c))
			break;
	}
	*ret_short = n < (ssize_t)room;
	if (n > 0) {
		LOCKED(&c->lock);
		c->counters.in_bytes += (uint64_t)n;
	}
	return n;
}

// What becomes of output now: true if it may go to the peer; else *ret is what the caller gets.
// Context: io held.
static bool may_push(struct chan *c, const struct iovec *iov, int count, ssize_t *ret)
{
	LOCKED(&c->lock);
	bool empty = c->hand_at == c->hand_len && c->get_at == c->put_at;

	if (c->out == OUT_NONE && c->out_silent) {
		*ret = 0;
		for (int i = 0; i < count; i++)
			*ret += (ssize_t)iov[i].iov_len;
		c->counters.out_bytes += (uint64_t)*ret;
		return false;
	}
	*ret = -ENOTCONN;
	if (c->out == OUT_NONE || c->out == OUT_WAITING)
		return false;
	*ret = -EAGAIN;
	if (c->out == OUT_READY && empty)
		return true;
	c->refused = true;
	if (c->out == OUT_READY)
		chan_defer(c, CHAN_NOW_NS);
	return false;
}

// Context: io held.
static void pushed(struct chan *c, ssize_t n)
{
	LOCKED(&c->lock);
	if (n >= 0) {
		c->counters.out_bytes += (uint64_t)n;
		c->counters.flushes++;
	} else if (n == -EAGAIN) {
		c->out = OUT_FULL;
		c->refused = true;
		loop_modify(c->loop, c->peer.out_handle, EPOLLOUT | EPOLLONESHOT);
	}
}

// A kept buffer takes what is for it.
static ssize_t put_pieces(struct chan *c, const struct iovec *iov, int count)
{
	ssize_t taken = 0;

	for (int i = 0; i < count; i++) {
		size_t n = chan_put(c, iov[i].iov_base, iov[i].iov_len);
		taken += (ssize_t)n;
		if (n < iov[i].iov_len)
			return taken ? taken : -EAGAIN;
	}
	return taken;
}

static bool is_kept(struct chan *c)
{
	LOCKED(&c->lock);
	return c->kept;
}

ssize_t chan_writev(struct chan *c, const struct iovec *iov, int count)
{
	ssize_t n;

	if (is_kept(c))
		return put_pieces(c, iov, count);
	{
		LOCKED(&c->io);
		if (may_push(c, iov, count, &n)) {
			n = chan_out_push(c, iov, count);
			pushed(c, n);
		}
	}
	if (n < 0 && n != -EAGAIN && n != -ENOTCONN) {
		chan_peer_lost(c, (int)-n);
		n = -ENOTCONN;
	}
	return n;
}
