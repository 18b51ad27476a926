// SPDX-License-Identifier: Apache-2.0
// What is told by eventfds: back-ends at the other end of a port, one each way, and the callback's
// GSI.
#include "xenus_impl.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct xenus_channel {
	struct xenus *x;
	uint32_t port, vcpu; // vcpu: guarded by the domain's lock
	int kick, call, handle;
};

void xenus_kick(const struct xenus_channel *c)
{
	uint64_t one = 1;
	ssize_t n = write(c->kick, &one, sizeof(one));

	(void)n; // full: its owner has yet to look
}

static void called(void *opaque, uint32_t events)
{
	struct xenus_channel *c = opaque;
	uint64_t count;

	(void)events;
	if (read(c->call, &count, sizeof(count)) < 0)
		return; // somebody else was first
	LOCKED(&c->x->lock);
	xenus_make_pending(c->x, c->port, c->vcpu);
}

int xenus_open_channel(struct xenus *x, uint32_t port, uint32_t vcpu, int kick, int call)
{
	struct xenus_channel *c = x->port[port].channel;

	if (c) {
		LOCKED(&x->lock);
		c->vcpu = vcpu;
		return 0;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct xenus_channel){ x, port, vcpu, kick, call, -1 };
	c->handle = loop_add(x->loop, call, EPOLLIN, called, c);
	if (c->handle < 0) {
		int err = c->handle;
		free(c);
		return err;
	}
	LOCKED(&x->lock);
	x->port[port].channel = c;
	return 0;
}

void xenus_close_channel(struct xenus *x, uint32_t port)
{
	struct xenus_channel *c;

	{
		LOCKED(&x->lock);
		c = x->port[port].channel;
		x->port[port].channel = NULL;
	}
	if (!c)
		return;
	loop_remove(x->loop, c->handle);
	free(c);
}

static void lowered(void *opaque, uint32_t events)
{
	struct xenus *x = opaque;
	uint64_t count;

	(void)events;
	if (read(x->lowered_fd, &count, sizeof(count)) > 0)
		xenus_gsi_lowered(x);
}

int xenus_set_gsi(struct xenus *x, int raise, int lowered_fd)
{
	if (x->lowered_handle >= 0)
		loop_remove(x->loop, x->lowered_handle);
	x->lowered_fd = lowered_fd;
	x->lowered_handle =
		lowered_fd < 0 ? -1 : loop_add(x->loop, lowered_fd, EPOLLIN, lowered, x);
	int err = lowered_fd < 0 || x->lowered_handle >= 0 ? 0 : x->lowered_handle;

	LOCKED(&x->lock);
	x->gsi_fd = err ? -1 : raise;
	x->gsi_up = false;
	return err;
}
