// SPDX-License-Identifier: Apache-2.0
// Output of a channel: from the ring by way of the hand to the peer, at the peer's pace.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "chan_impl.h"

#define ROUNDS 64 // hands written before it is another source's turn
#define SLOW_BYTES 256 // a terminal or pipe that polls writable takes that much without waiting

ssize_t chan_out_push(struct chan *c, const struct iovec *iov, int count)
{
	struct pollfd poll_out = { .fd = c->peer.out_fd, .events = POLLOUT };
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
	struct iovec little;
	ssize_t n;

	if (c->peer.out_slow) {
		if (poll(&poll_out, 1, 0) <= 0)
			return -EAGAIN;
		little = iov[0];
		if (little.iov_len > SLOW_BYTES)
			little.iov_len = SLOW_BYTES;
		iov = &little;
		count = 1;
	}
	do {
		n = c->peer.out_sock
			    ? sendmsg(c->peer.out_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : writev(c->peer.out_fd, iov, count);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

// Context: io held.
static int write_rounds(struct chan *c)
{
	for (uint32_t round = 0; round < ROUNDS;) {
		if (c->hand_at == c->hand_len) {
			LOCKED(&c->lock);
			chan_fill_hand(c);
			if (!c->hand_len)
				return 0;
			round++;
		}
		struct iovec rest = { c->hand + c->hand_at, c->hand_len - c->hand_at };
		ssize_t n = chan_out_push(c, &rest, 1);
		if (n < 0)
			return (int)n;
		c->hand_at += (size_t)n;
		LOCKED(&c->lock);
		c->counters.flushes++;
	}
	chan_defer_unlocked(c, CHAN_NOW_NS);
	return 0;
}

static bool is_waiting(struct chan *c)
{
	LOCKED(&c->lock);
	return c->out == OUT_WAITING;
}

int chan_out_flush(struct chan *c)
{
	LOCKED(&c->io);
	if (c->peer.out_fd < 0 || is_waiting(c))
		return 0;
	int err = write_rounds(c);
	if (err && err != -EAGAIN)
		return err;
	// EPOLLOUT only while bytes are left; EPOLLERR and EPOLLHUP are always told.
	bool was_full;
	{
		LOCKED(&c->lock);
		was_full = c->out == OUT_FULL;
		c->out = err ? OUT_FULL : OUT_READY;
	}
	if (err || was_full)
		loop_modify(c->loop, c->peer.out_handle,
			    err ? EPOLLOUT | EPOLLONESHOT : EPOLLONESHOT);
	return err;
}

void chan_out_tell(struct chan *c)
{
	{
		LOCKED(&c->lock);
		bool room = c->out == OUT_NONE || c->put_at - c->get_at < c->limit;
		if (!c->refused || !room)
			return;
		c->refused = false;
	}
	struct chan_front front = chan_front_enter(c);
	if (front.tx_ready)
		front.tx_ready(front.opaque);
	chan_front_leave(c);
}

// Has the peer said all it will? -EAGAIN: there is more to read, or that cannot be told yet. 0: it
// closed; else the -errno it ended with. Context: io held.
static int input_ended(struct chan *c)
{
	uint8_t byte;

	if (!c->peer.in_sock || c->peer.in_fd < 0)
		return -EPIPE;
	ssize_t n = recv(c->peer.in_fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
	return n > 0 ? -EAGAIN : n < 0 ? -errno : 0;
}

void chan_out_ready(void *opaque, uint32_t events)
{
	struct chan *c = opaque;
	int ended = -EAGAIN;

	{
		LOCKED(&c->lock);
		c->counters.wakeups++;
	}
	if (events & EPOLLHUP && chan_opens_look(c, true))
		return;
	int err = chan_out_flush(c);
	{
		// A peer that sent something before it left is read to its end first: chan_in.c
		// finds that it has left. Not armed again for that, or the loop would spin.
		LOCKED(&c->io);
		if (events & (EPOLLERR | EPOLLHUP) && c->peer.out_fd >= 0)
			ended = input_ended(c);
	}
	if (err && err != -EAGAIN)
		chan_peer_lost(c, -err);
	else if (ended != -EAGAIN)
		chan_peer_lost(c, -ended);
	chan_out_tell(c);
}

// A duplicate of the peer's descriptor, to be polled without a lock; -1 when nobody is there.
static int borrow_out(struct chan *c)
{
	LOCKED(&c->io);
	return c->peer.out_fd < 0 ? -1 : fcntl(c->peer.out_fd, F_DUPFD_CLOEXEC, 3);
}

static uint64_t bytes_left(struct chan *c)
{
	LOCKED(&c->io);
	LOCKED(&c->lock);
	return c->hand_len - c->hand_at + c->put_at - c->get_at;
}

uint64_t chan_flush(struct chan *c, int timeout_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + timeout_ms;
	for (;;) {
		int err = chan_out_flush(c);
		if (err && err != -EAGAIN)
			chan_peer_lost(c, -err);
		uint64_t left = bytes_left(c);
		clock_gettime(CLOCK_MONOTONIC, &now);
		int64_t wait = end - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
		struct pollfd out = { .events = POLLOUT };
		if (!left || (err == -EAGAIN && wait <= 0) || (out.fd = borrow_out(c)) < 0) {
			// The front-end may wait for the room made here.
			chan_defer_unlocked(c, CHAN_NOW_NS);
			return left;
		}
		poll(&out, 1, wait > 0 ? (int)wait : 0);
		close(out.fd);
	}
}
