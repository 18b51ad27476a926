// SPDX-License-Identifier: Apache-2.0
// Whether a pseudo-terminal's slave is open: the master tells when the last user has left, inotify
// when there may be one again.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "chan_impl.h"

// A slave that nobody has open forgets its settings. Opening it tells ourselves of an opening, too,
// but by then it is no news.
static void restore_settings(struct chan *c)
{
	int fd = open(c->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	tcsetattr(fd, TCSANOW, &c->settings);
	close(fd);
}

static bool hung_up(int fd)
{
	struct pollfd master = { .fd = fd };

	return poll(&master, 1, 0) > 0 && master.revents & POLLHUP;
}

bool chan_opens_look(struct chan *c, bool left)
{
	LOCKED(&c->io);
	if (c->opens_fd < 0 || c->peer.out_fd < 0)
		return false;
	bool there = !hung_up(c->peer.out_fd);
	bool joined = there && (left || c->out == OUT_WAITING);
	if (joined)
		restore_settings(c); // before anything is written that it might echo
	LOCKED(&c->lock);
	if (left || !there)
		c->departures += c->out != OUT_WAITING;
	if (joined) {
		c->out = OUT_READY;
		loop_modify(c->loop, c->peer.in_handle, EPOLLIN | EPOLLONESHOT);
		loop_modify(c->loop, c->peer.out_handle, EPOLLONESHOT);
		c->counters.peers++;
	} else if (!there) {
		c->out = OUT_WAITING;
	}
	chan_defer(c, CHAN_NOW_NS);
	return true;
}

static void on_opens(void *opaque, uint32_t events)
{
	struct inotify_event event[16];
	struct chan *c = opaque;

	(void)events;
	while (read(c->opens_fd, event, sizeof(event)) > 0)
		;
	chan_opens_look(c, false);
}

// Keeps what is to be restored; closes the slave, which now may report a hang-up. 0 or -errno.
static int keep_settings(struct chan *c)
{
	int fd = open(c->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int err = tcgetattr(fd, &c->settings) ? -errno : 0;
	close(fd);
	return err;
}

int chan_watch_opens(struct chan *c, const char *path)
{
	if (c->opens_fd >= 0)
		return -EBUSY;
	size_t length = strlen(path);
	if (length >= CHAN_SLAVE)
		return -ENAMETOOLONG;
	memcpy(c->slave, path, length + 1);
	int err = keep_settings(c);
	if (err)
		return err;
	c->opens_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (c->opens_fd < 0)
		return -errno;
	if (inotify_add_watch(c->opens_fd, path, IN_OPEN) < 0) {
		err = -errno;
	} else {
		c->opens_handle = loop_add(c->loop, c->opens_fd, EPOLLIN, on_opens, c);
		err = c->opens_handle < 0 ? c->opens_handle : 0;
	}
	if (err)
		chan_opens_close(c);
	return err;
}

void chan_opens_close(struct chan *c)
{
	if (c->opens_handle >= 0)
		loop_remove(c->loop, c->opens_handle);
	if (c->opens_fd >= 0)
		close(c->opens_fd);
	c->opens_fd = c->opens_handle = -1;
}
