// SPDX-License-Identifier: Apache-2.0
// The epoll loop. One mutex guards everything but the wait and the handlers themselves.
//
// An event fetched by epoll_wait() names its source by slot and generation, so that an event of a removed
// source, or of an earlier user of the slot, is recognized and dropped.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

#define LOOP_QUEUE 64 // events waiting for Python
#define LOOP_BATCH 32 // events fetched by one epoll_wait()
#define LOOP_GROW 16 // sources allocated at a time
#define WAKE_DATA UINT64_MAX // epoll data of our own eventfd

struct loop_source {
	int fd; // our duplicate, -1 when the slot is free
	uint32_t generation;
	loop_fn fn; // NULL: served by Python
	void *opaque;
	uint64_t token;
};

struct loop {
	int epoll_fd, wake_fd;
	pthread_mutex_t lock;
	pthread_cond_t idle; // signalled when a handler returned and somebody waits for that
	uint32_t waiters;
	pthread_t thread; // valid while running
	bool running;
	bool stop, wake;
	int current; // slot whose handler is running, or -1
	struct loop_source *source;
	uint32_t slots;
	struct loop_event queue[LOOP_QUEUE];
	uint32_t queue_head, queue_count;
	struct loop_event call[LOOP_BATCH]; // LOOP_CALLs of the last batch
	uint32_t call_handle[LOOP_BATCH];
	uint32_t call_head, call_count;
	struct loop_counters counters;
};

struct loop *loop_create(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_DATA};
	l->current = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->idle, NULL);
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
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	free(l->source);
	free(l);
}

static bool on_thread(struct loop *l)
{
	return l->running && pthread_equal(l->thread, pthread_self());
}

// Ends the wait of a loop that runs on another thread. Context: l->lock held.
static void nudge(struct loop *l)
{
	uint64_t one = 1;

	if (!on_thread(l)) {
		// It can fail only when the counter is full, which wakes the loop as well.
		ssize_t n = write(l->wake_fd, &one, sizeof(one));
		(void)n;
	}
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
		source[i] = (struct loop_source){.fd = -1};
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
	return add_source(l, fd, events, (struct loop_source){.fn = fn, .opaque = opaque});
}

int loop_add_call(struct loop *l, int fd, uint32_t events, uint64_t token)
{
	return add_source(l, fd, events, (struct loop_source){.token = token});
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

void loop_remove(struct loop *l, int handle)
{
	LOCKED(&l->lock);
	struct loop_source *s = find_source(l, handle);

	if (!s)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	close(s->fd);
	s->fd = -1;
	s->generation++;
	for (uint32_t i = 0; i < l->call_count; i++) {
		if (l->call_handle[i] == (uint32_t)handle)
			l->call[i].kind = LOOP_STOPPED; // a hole, see next_event()
	}
	// The slot may be given to a new source meanwhile; that one's handler cannot be current
	// before this one has returned, so the wait is at most too long by a dispatch.
	if (l->current != handle || on_thread(l))
		return;
	l->waiters++;
	while (l->current == handle)
		pthread_cond_wait(&l->idle, &l->lock);
	l->waiters--;
}

int loop_post(struct loop *l, uint32_t kind, uint64_t value, void *source)
{
	LOCKED(&l->lock);
	if (l->queue_count == LOOP_QUEUE) {
		l->counters.refused++;
		return -ENOSPC;
	}
	l->counters.posted++;
	l->queue[(l->queue_head + l->queue_count++) % LOOP_QUEUE] =
		(struct loop_event){.kind = kind, .value = value, .source = source};
	nudge(l);
	return 0;
}

void loop_forget(struct loop *l, void *source)
{
	LOCKED(&l->lock);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->queue_count; i++) {
		struct loop_event event = l->queue[(l->queue_head + i) % LOOP_QUEUE];
		if (event.source != source)
			l->queue[(l->queue_head + kept++) % LOOP_QUEUE] = event;
	}
	l->queue_count = kept;
}

void loop_wake(struct loop *l)
{
	LOCKED(&l->lock);
	if (!l->wake)
		nudge(l);
	l->wake = true;
}

void loop_stop(struct loop *l)
{
	LOCKED(&l->lock);
	l->stop = true;
	nudge(l);
}

void loop_counters(struct loop *l, struct loop_counters *ret)
{
	LOCKED(&l->lock);
	*ret = l->counters;
}

// Takes the next event for Python, if there is one. Context: l->lock held.
static bool next_event(struct loop *l, struct loop_event *ret)
{
	while (l->call_head < l->call_count) {
		*ret = l->call[l->call_head++];
		if (ret->kind == LOOP_CALL)
			return true;
	}
	if (l->queue_count) {
		*ret = l->queue[l->queue_head];
		l->queue_head = (l->queue_head + 1) % LOOP_QUEUE;
		l->queue_count--;
		return true;
	}
	if (l->wake || l->stop) {
		*ret = (struct loop_event){.kind = l->wake ? LOOP_WAKE : LOOP_STOPPED};
		if (l->wake)
			l->wake = false;
		else
			l->stop = false;
		return true;
	}
	return false;
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
			(struct loop_event){.kind = LOOP_CALL, .value = s->token};
		return;
	}
	loop_fn fn = s->fn;
	void *opaque = s->opaque;
	l->current = (int)slot;
	pthread_mutex_unlock(&l->lock);
	fn(opaque, event->events);
	pthread_mutex_lock(&l->lock);
	l->current = -1;
	if (l->waiters)
		pthread_cond_broadcast(&l->idle);
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
	while (!next_event(l, ret)) {
		l->call_head = l->call_count = 0;
		pthread_mutex_unlock(&l->lock);
		int n = epoll_wait(l->epoll_fd, batch, LOOP_BATCH, -1);
		err = n < 0 ? -errno : 0;
		pthread_mutex_lock(&l->lock);
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
