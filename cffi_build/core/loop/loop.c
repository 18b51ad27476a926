// SPDX-License-Identifier: Apache-2.0
// The epoll loop: sources, dispatch, running. One lock guards everything but the wait and the
// handlers.
//
// An event fetched by epoll_wait() names its source by slot and generation, so that an event of a
// removed source, or of an earlier user of the slot, is recognized and dropped.
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop_impl.h"

struct loop *loop_create(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE_DATA };
	l->current = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lock_init(&l->lock);
	if (l->epoll_fd < 0 || l->wake_fd < 0 ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &event)) {
		int err = errno;
		loop_destroy(l);
		errno = err;
		return NULL;
	}
	return l;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->slots; i++) {
		if (l->source[i].fd >= 0)
			close(l->source[i].fd);
	}
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	free(l->source);
	free(l);
}

// A free slot, or -ENOMEM. Context: l->lock held.
static int find_slot(struct loop *l)
{
	for (uint32_t i = 0; i < l->slots; i++) {
		if (l->source[i].fd < 0)
			return (int)i;
	}
	uint32_t slots = l->slots + LOOP_GROW;
	struct loop_source *source = realloc(l->source, slots * sizeof(*source));
	if (!source)
		return -ENOMEM;
	for (uint32_t i = l->slots; i < slots; i++)
		source[i] = (struct loop_source){ .fd = -1 };
	l->source = source;
	l->slots = slots;
	return (int)slots - LOOP_GROW;
}

static int add_source(struct loop *l, int fd, uint32_t events, struct loop_source source)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0)
		return -errno;
	LOCKED(&l->lock);
	int slot = find_slot(l);
	if (slot < 0) {
		close(own);
		return slot;
	}
	struct loop_source *s = &l->source[slot];
	source.fd = own;
	source.generation = s->generation;
	struct epoll_event event = {
		.events = events,
		.data.u64 = (uint64_t)source.generation << 32 | (uint32_t)slot,
	};
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, own, &event)) {
		int err = -errno;
		close(own);
		return err;
	}
	*s = source;
	return slot;
}

int loop_add(struct loop *l, int fd, uint32_t events, loop_fn fn, void *opaque)
{
	if (!fn)
		return -EINVAL;
	return add_source(l, fd, events, (struct loop_source){ .fn = fn, .opaque = opaque });
}

int loop_add_call(struct loop *l, int fd, uint32_t events, uint64_t token)
{
	return add_source(l, fd, events, (struct loop_source){ .token = token });
}

// The source with this handle, or NULL. Context: l->lock held.
static struct loop_source *find_source(struct loop *l, int handle)
{
	if (handle < 0 || (uint32_t)handle >= l->slots || l->source[handle].fd < 0)
		return NULL;
	return &l->source[handle];
}

int loop_modify(struct loop *l, int handle, uint32_t events)
{
	LOCKED(&l->lock);
	struct loop_source *s = find_source(l, handle);

	if (!s)
		return -ENOENT;
	struct epoll_event event = {
		.events = events,
		.data.u64 = (uint64_t)s->generation << 32 | (uint32_t)handle,
	};
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, s->fd, &event) ? -errno : 0;
}

// Waits until the handler that runs now has returned. Context: l->lock held, not on the loop's
// thread.
static void wait_idle(struct loop *l)
{
	uint64_t run = l->dispatches;

	l->waiters++;
	while (l->current >= 0 && l->dispatches == run) {
		uint32_t seen = atomic_load(&l->returned);
		lock_drop(&l->lock);
		syscall(SYS_futex, &l->returned, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
		lock_take(&l->lock);
	}
	l->waiters--;
}

// Context: l->lock held.
static COLD void wake_waiters(struct loop *l)
{
	atomic_fetch_add(&l->returned, 1);
	syscall(SYS_futex, &l->returned, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void loop_remove(struct loop *l, int handle)
{
	LOCKED(&l->lock);
	struct loop_source *s = find_source(l, handle);

	if (s) {
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
		close(s->fd);
		s->fd = -1;
		s->generation++;
		for (uint32_t i = 0; i < l->call_count; i++) {
			if (l->call_handle[i] == (uint32_t)handle)
				l->call[i].kind = LOOP_STOPPED; // a hole, see loop_next_event()
		}
	}
	// Also when it is gone already: its handler may have removed it and still be running.
	if (handle >= 0 && l->current == handle && !loop_on_thread(l))
		wait_idle(l);
}

void loop_barrier(struct loop *l)
{
	LOCKED(&l->lock);
	if (!loop_on_thread(l))
		wait_idle(l);
}

// Context: l->lock held; released around the handler.
static void dispatch(struct loop *l, const struct epoll_event *event)
{
	uint32_t slot = (uint32_t)event->data.u64;

	if (event->data.u64 == WAKE_DATA) {
		uint64_t count;
		ssize_t n = read(l->wake_fd, &count, sizeof(count));
		(void)n;
		return;
	}
	struct loop_source *s = &l->source[slot]; // slots never shrink
	if (s->fd < 0 || s->generation != event->data.u64 >> 32)
		return;
	l->counters.dispatched++;
	if (!s->fn) {
		l->call_handle[l->call_count] = slot;
		l->call[l->call_count++] =
			(struct loop_event){ .kind = LOOP_CALL, .value = s->token };
		return;
	}
	loop_fn fn = s->fn;
	void *opaque = s->opaque;
	l->current = (int)slot;
	l->dispatches++;
	lock_drop(&l->lock);
	fn(opaque, event->events);
	lock_take(&l->lock);
	l->current = -1;
	if (unlikely(l->waiters))
		wake_waiters(l);
}

int loop_run(struct loop *l, struct loop_event *ret)
{
	struct epoll_event batch[LOOP_BATCH];
	int err = 0;

	LOCKED(&l->lock);
	if (l->running)
		return -EBUSY;
	l->running = true;
	l->thread = pthread_self();
	while (!loop_next_event(l, ret)) {
		l->call_head = l->call_count = 0;
		lock_drop(&l->lock);
		int n = epoll_wait(l->epoll_fd, batch, LOOP_BATCH, -1);
		err = n < 0 ? -errno : 0;
		lock_take(&l->lock);
		if (err && err != -EINTR)
			break;
		err = 0;
		l->counters.wakeups++;
		for (int i = 0; i < n; i++)
			dispatch(l, &batch[i]);
	}
	l->running = false;
	return err;
}
