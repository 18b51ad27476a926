// SPDX-License-Identifier: Apache-2.0
// Input of a channel: read from the peer, searched for escapes, handed on as the front-end takes
// it. What has no other context named runs on the loop's thread.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "chan_impl.h"

#define ESCAPE 0x01 // Ctrl-A
#define ROUNDS 16 // reads before it is another source's turn

struct chan_front chan_front_enter(struct chan *c)
{
	LOCKED(&c->lock);
	c->front_busy = true;
	c->front_thread = pthread_self();
	return c->front;
}

void chan_front_leave(struct chan *c)
{
	LOCKED(&c->lock);
	c->front_busy = false;
	pthread_cond_broadcast(&c->front_idle);
}

void chan_set_front(struct chan *c, const struct chan_front *f)
{
	LOCKED(&c->lock);
	c->front = f ? *f : (struct chan_front){ 0 };
	c->told_connected = -1;
	c->told_departures = c->departures;
	while (c->front_busy && !pthread_equal(c->front_thread, pthread_self()))
		pthread_cond_wait(&c->front_idle, &c->lock);
	if (f) {
		atomic_store(&c->rx_resumed, true);
		chan_defer(c, CHAN_NOW_NS);
	}
}

void chan_rx_resume(struct chan *c)
{
	// The order with chan_in_pause(): paused is stored there before resumed is looked at.
	atomic_store(&c->rx_resumed, true);
	if (atomic_load(&c->rx_paused))
		chan_defer_unlocked(c, CHAN_NOW_NS);
}

bool chan_in_pause(struct chan *c)
{
	atomic_store(&c->rx_paused, true);
	if (!atomic_exchange(&c->rx_resumed, false))
		return true;
	atomic_store(&c->rx_paused, false);
	return false;
}

// Offers what there is to the front-end until it takes less than that.
static void deliver(struct chan *c)
{
	while (c->in_at < c->in_len) {
		struct chan_front front = chan_front_enter(c);
		size_t n = front.rx ? front.rx(front.opaque, c->in + c->in_at, c->in_len - c->in_at)
				    : 0;
		chan_front_leave(c);
		if (n) {
			LOCKED(&c->lock);
			c->counters.in_bytes += n;
			c->stalled_at = 0;
		}
		c->in_at += n;
		if (c->in_at < c->in_len && chan_in_pause(c))
			break;
	}
	memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
	c->in_len -= c->in_at;
	c->in_at = 0;
}

// Appends raw input, taking escapes out. There is room for all of it.
static void accept_input(struct chan *c, const uint8_t *buf, size_t len)
{
	bool escape = atomic_load(&c->escape);

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = buf[i];
		if (escape && c->escaped && byte != ESCAPE) {
			c->escaped = false;
			loop_post(c->loop, LOOP_ESCAPE, byte, c);
			continue;
		}
		if (escape && byte == ESCAPE) {
			c->escaped = !c->escaped;
			if (c->escaped)
				continue;
		}
		c->in[c->in_len++] = byte;
	}
}

// io keeps the descriptor open meanwhile.
ssize_t chan_in_read(struct chan *c, const struct iovec *iov, int count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
	ssize_t n;

	LOCKED(&c->io);
	if (c->peer.in_fd < 0)
		return -EAGAIN;
	do {
		n = c->peer.in_sock ? recvmsg(c->peer.in_fd, &message, MSG_DONTWAIT)
				    : readv(c->peer.in_fd, iov, count);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

// Asks for more input, if there is room for it and somebody waits for it or for escapes in it.
static void want_more(struct chan *c)
{
	if (c->in_len == CHAN_IN) {
		if (atomic_load(&c->escape)) {
			if (!c->stalled_at)
				c->stalled_at = chan_now_ns();
			chan_defer_unlocked(c, CHAN_STALL_NS);
		}
		return;
	}
	if (atomic_load(&c->rx_paused) && !atomic_load(&c->escape))
		return;
	LOCKED(&c->io);
	if (c->peer.in_fd < 0)
		return;
	if (c->peer.in_direct)
		chan_defer_unlocked(c, CHAN_NOW_NS);
	else
		loop_modify(c->loop, c->peer.in_handle, EPOLLIN | EPOLLONESHOT);
}

// One read by way of `in`; as chan_straight_read().
static ssize_t read_and_hand_on(struct chan *c, bool *ret_short)
{
	uint8_t buf[CHAN_IN];
	struct iovec iov = { buf, CHAN_IN - c->in_len };
	ssize_t n = chan_in_read(c, &iov, 1);

	*ret_short = n < (ssize_t)iov.iov_len;
	if (n > 0) {
		accept_input(c, buf, (size_t)n);
		deliver(c);
	}
	return n;
}

static void read_more(struct chan *c)
{
	bool drained = false;
	ssize_t n = 1;

	for (uint32_t round = 0; round < ROUNDS && n > 0 && !drained && c->in_len < CHAN_IN;
	     round++) {
		n = -ENOSYS;
		if (!c->in_len && !atomic_load(&c->escape))
			n = chan_straight_read(c, &drained);
		if (n == -ENOSYS)
			n = read_and_hand_on(c, &drained);
		drained = drained || (atomic_load(&c->rx_paused) && !atomic_load(&c->escape));
	}
	if (n == -EIO && chan_opens_look(c, true))
		return;
	if (n == -EIO) {
		// A terminal whose foreground is another job's: come back later.
		c->in_retry = true;
		chan_defer_unlocked(c, CHAN_STALL_NS);
		return;
	}
	if (n <= 0 && n != -EAGAIN && n != -ENOBUFS)
		chan_peer_in_ended(c);
	want_more(c);
}

void chan_in_ready(void *opaque, uint32_t events)
{
	struct chan *c = opaque;

	(void)events;
	if (c->in_len < CHAN_IN)
		read_more(c);
}

void chan_rx_now(struct chan *c)
{
	atomic_store(&c->rx_paused, false);
	atomic_store(&c->rx_resumed, false);
	deliver(c);
	if (!atomic_load(&c->rx_paused))
		read_more(c);
}

void chan_in_deferred(struct chan *c)
{
	bool resumed = atomic_load(&c->rx_paused) && atomic_exchange(&c->rx_resumed, false);

	if (resumed) {
		atomic_store(&c->rx_paused, false);
		deliver(c);
	}
	// A guest that takes nothing must not keep the user from the escapes.
	bool stalled = c->stalled_at && chan_now_ns() - c->stalled_at >= CHAN_STALL_NS;
	if (stalled && atomic_load(&c->escape)) {
		LOCKED(&c->lock);
		c->counters.in_dropped_bytes += c->in_len;
		c->in_len = 0;
	}
	if (c->in_len < CHAN_IN)
		c->stalled_at = 0;
	bool direct;
	{
		LOCKED(&c->io);
		direct = c->peer.in_direct && c->peer.in_fd >= 0;
	}
	if (direct && c->in_len < CHAN_IN && !atomic_load(&c->rx_paused))
		read_more(c);
	else if (resumed || stalled || c->in_retry)
		want_more(c);
	c->in_retry = false;
}
