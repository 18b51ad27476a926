// SPDX-License-Identifier: Apache-2.0
// A loop in a target runs when it is told to, on the target's own thread, for what is ready then.
#ifndef FUZZ_LOOP_H
#define FUZZ_LOOP_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fuzz.h"
#include "loop.h"

#define TICK (LOOP_USER + 1000)

struct ticker {
	struct loop *loop;
	int fd;
	void (*heard)(struct ticker *t, const struct loop_event *event); // each event; may be NULL
};

static inline void on_tick(void *opaque, uint32_t events)
{
	struct ticker *t = opaque;
	uint64_t count;

	(void)events;
	MUST(read(t->fd, &count, sizeof(count)) == sizeof(count));
	MUST(!loop_post(t->loop, TICK, 0, t));
}

static inline void ticker_init(struct ticker *t)
{
	MUST((t->loop = loop_create()));
	MUST((t->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
	MUST(loop_add(t->loop, t->fd, EPOLLIN, on_tick, t) >= 0);
	t->heard = NULL;
}

static inline void ticker_deinit(struct ticker *t)
{
	loop_destroy(t->loop);
	close(t->fd);
}

static inline void ticker_run(struct ticker *t)
{
	struct loop_event event;
	const uint64_t one = 1;

	MUST(write(t->fd, &one, sizeof(one)) == sizeof(one));
	do {
		MUST(!loop_run(t->loop, &event));
		if (t->heard)
			t->heard(t, &event);
	} while (event.kind != TICK);
}

#endif
