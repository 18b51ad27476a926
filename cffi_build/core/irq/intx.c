// SPDX-License-Identifier: Apache-2.0
#include "intx.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PIC_GSIS = 16 }; // GSIs that are lines of both chips

void intx_connect(struct intx *x)
{
	const struct irq_sink *sink = &x->hub->sink;

	x->connected = sink->connect ? sink->connect(sink->chip, x) : -EOPNOTSUPP;
}

void intx_disconnect(struct intx *x)
{
	const struct irq_sink *sink = &x->hub->sink;

	if (!x->connected)
		sink->disconnect(sink->chip, x);
	x->connected = -EOPNOTSUPP;
}

struct intx *intx_create(struct irq_hub *hub, struct loop *loop, uint32_t gsi, uint32_t pic)
{
	errno = EINVAL;
	struct intx *x = gsi < IRQ_HUB_GSIS ? calloc(1, sizeof(*x)) : NULL;

	if (!x)
		return NULL;
	x->hub = hub;
	x->loop = loop;
	x->gsi = gsi;
	x->pic = gsi < PIC_GSIS ? gsi : pic;
	x->trigger_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	x->resample_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (x->trigger_fd < 0 || x->resample_fd < 0) {
		int err = errno;
		close(x->trigger_fd);
		close(x->resample_fd);
		free(x);
		errno = err;
		return NULL;
	}
	LOCKED(&hub->lock);
	x->next = hub->intx;
	hub->intx = x;
	intx_connect(x);
	return x;
}

static void unlist(struct intx *x)
{
	LOCKED(&x->hub->lock);
	struct intx **at = &x->hub->intx;

	intx_disconnect(x);
	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
}

void intx_destroy(struct intx *x)
{
	unlist(x);
	close(x->trigger_fd);
	close(x->resample_fd);
	free(x);
}

int intx_status(struct intx *x)
{
	LOCKED(&x->hub->lock);
	return x->hub->sink.set ? x->connected : 0;
}
