// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a channel: attaching, accepting, losing and replacing peers.
//
// A source is removed and its descriptor closed only after the peer has been taken out of the
// channel under `io` and with no lock held: loop_remove() may wait for a handler that takes `io`.
#define _GNU_SOURCE // accept4
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chan_impl.h"

static const struct chan_peer nobody = {
	.in_fd = -1, .out_fd = -1, .in_handle = -1, .out_handle = -1
};

static bool present(const struct chan_peer *p)
{
	return p->in_fd >= 0 || p->out_fd >= 0;
}

// Context: no lock held.
static void release_peer(struct chan *c, const struct chan_peer *p)
{
	if (p->in_handle >= 0)
		loop_remove(c->loop, p->in_handle);
	if (p->out_handle >= 0)
		loop_remove(c->loop, p->out_handle);
	if (p->in_fd >= 0)
		close(p->in_fd);
	if (p->out_fd >= 0 && p->out_fd != p->in_fd)
		close(p->out_fd);
}

// Registers what can be polled. 0 or -errno. Context: io held, so that no handler gets ahead.
static int watch_peer(struct chan *c, struct chan_peer *p)
{
	if (p->in_fd >= 0) {
		p->in_handle =
			loop_add(c->loop, p->in_fd, EPOLLIN | EPOLLONESHOT, chan_in_ready, c);
		p->in_direct = p->in_handle == -EPERM;
		if (p->in_handle < 0 && !p->in_direct)
			return p->in_handle;
	}
	if (p->out_fd >= 0) {
		p->out_handle = loop_add(c->loop, p->out_fd, EPOLLONESHOT, chan_out_ready, c);
		if (p->out_handle < 0 && p->out_handle != -EPERM)
			return p->out_handle;
		int flags = fcntl(p->out_fd, F_GETFL);
		p->out_slow = p->out_handle >= 0 && !p->out_sock && !(flags & O_NONBLOCK);
	}
	return 0;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && S_ISSOCK(st.st_mode);
}

// Puts `p` in, or hands back the peer that has to leave first. Context: no lock held.
static int install(struct chan *c, struct chan_peer *p, struct chan_peer *ret_old)
{
	LOCKED(&c->io);
	*ret_old = c->peer;
	c->peer = nobody;
	if (present(ret_old))
		return -EBUSY;
	int err = watch_peer(c, p);
	if (err)
		return err;
	c->peer = *p;
	LOCKED(&c->lock);
	c->counters.peers += present(p);
	c->kept = p->keep;
	c->out = p->out_fd >= 0 ? OUT_READY : c->listen_fd >= 0 || p->keep ? OUT_WAITING : OUT_NONE;
	c->out_silent = true;
	if (c->out == OUT_NONE)
		chan_discard(c, true);
	chan_defer(c, CHAN_NOW_NS);
	return 0;
}

static int attach(struct chan *c, int in_fd, int out_fd, bool keep)
{
	struct chan_peer p = nobody, old;
	int err;

	p.in_fd = in_fd;
	p.out_fd = out_fd;
	p.in_sock = is_socket(in_fd);
	p.out_sock = is_socket(out_fd);
	p.keep = keep;
	while ((err = install(c, &p, &old)) == -EBUSY)
		release_peer(c, &old);
	if (err)
		release_peer(c, &p);
	return err;
}

int chan_attach(struct chan *c, int in_fd, int out_fd)
{
	return attach(c, in_fd, out_fd, false);
}

int chan_keep(struct chan *c, int in_fd)
{
	return attach(c, in_fd, -1, true);
}

// handle: of the listening source, -1 for none.
static void accept_more(struct chan *c, int handle)
{
	if (handle >= 0)
		loop_modify(c->loop, handle, EPOLLIN | EPOLLONESHOT);
}

static void on_accept(void *opaque, uint32_t events)
{
	struct chan *c = opaque;
	int listen_fd, handle;

	(void)events;
	{
		LOCKED(&c->io);
		listen_fd = c->listen_fd; // closed only after this handler has returned
		handle = c->listen_handle;
	}
	if (listen_fd < 0)
		return;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
		accept_more(c, handle);
	} else if (fd < 0 || chan_attach(c, fd, fd)) {
		// No descriptors or no memory: the peer waits in the backlog meanwhile.
		c->accept_retry = true;
		chan_defer_unlocked(c, CHAN_STALL_NS);
	} else {
		loop_post(c->loop, LOOP_PEER_JOINED, 0, c);
	}
}

void chan_peer_deferred(struct chan *c)
{
	if (!c->accept_retry)
		return;
	c->accept_retry = false;
	LOCKED(&c->io);
	accept_more(c, c->listen_handle);
}

int chan_listen(struct chan *c, int listen_fd)
{
	LOCKED(&c->io);
	int handle = c->listen_fd >= 0
			     ? -EBUSY
			     : loop_add(c->loop, listen_fd, EPOLLIN | EPOLLONESHOT, on_accept, c);
	if (handle < 0) {
		close(listen_fd);
		return handle;
	}
	c->listen_fd = listen_fd;
	c->listen_handle = handle;
	return 0;
}

// Takes the output out of the channel, and with `all` the input too. Context: io held.
static struct chan_peer take_out(struct chan *c, bool all)
{
	struct chan_peer old = c->peer;

	c->peer = nobody;
	if (!all) {
		c->peer.in_fd = old.in_fd;
		c->peer.in_handle = old.in_handle;
		c->peer.in_sock = old.in_sock;
		c->peer.in_direct = old.in_direct;
		old.in_fd = old.in_handle = -1;
	}
	return old;
}

// all: nothing comes from the peer either.
static void lose(struct chan *c, int err, bool all)
{
	struct chan_peer old;
	int listener;

	{
		LOCKED(&c->io);
		if (c->peer.in_fd < 0 || c->peer.in_fd == c->peer.out_fd)
			all = true;
		old = take_out(c, all);
		listener = c->listen_handle;
		if (!present(&old))
			return;
		LOCKED(&c->lock);
		c->out = c->listen_fd >= 0 ? OUT_WAITING : OUT_NONE;
		c->out_silent = c->kept = false;
		c->departures++;
		if (c->out == OUT_NONE) {
			c->out_error = err ? err : c->out_error;
			chan_discard(c, false);
		}
		chan_defer(c, CHAN_NOW_NS); // for chan_out_tell()
	}
	release_peer(c, &old);
	loop_post(c->loop, LOOP_PEER_LOST, (uint64_t)err, c);
	accept_more(c, listener);
}

void chan_peer_lost(struct chan *c, int err)
{
	lose(c, err, false);
}

void chan_peer_in_ended(struct chan *c)
{
	struct chan_peer ended = nobody;
	bool gone;

	{
		LOCKED(&c->io);
		struct pollfd out = { .fd = c->peer.out_fd };
		gone = c->peer.out_fd < 0 ||
		       (poll(&out, 1, 0) > 0 && out.revents & (POLLHUP | POLLERR));
		if (!gone) {
			ended.in_handle = c->peer.in_handle;
			ended.in_fd = c->peer.in_fd == c->peer.out_fd ? -1 : c->peer.in_fd;
			c->peer.in_fd = c->peer.in_handle = -1;
			// It may have stopped telling about a peer that leaves, see
			// chan_out_ready(). `out` is written with io held.
			loop_modify(c->loop, c->peer.out_handle,
				    c->out == OUT_FULL ? EPOLLOUT | EPOLLONESHOT : EPOLLONESHOT);
		}
	}
	release_peer(c, &ended);
	if (gone)
		lose(c, 0, true);
}

bool chan_has_peer(struct chan *c)
{
	LOCKED(&c->io);
	return present(&c->peer);
}

int chan_out_error(struct chan *c)
{
	LOCKED(&c->lock);
	return c->out_error;
}

void chan_peer_close(struct chan *c)
{
	struct chan_peer old, listener = nobody;

	{
		LOCKED(&c->io);
		listener.in_fd = c->listen_fd;
		listener.in_handle = c->listen_handle;
		c->listen_fd = c->listen_handle = -1;
	}
	release_peer(c, &listener); // first, or it would let the next peer in
	{
		LOCKED(&c->io);
		old = c->peer;
		c->peer = nobody;
	}
	release_peer(c, &old);
}
