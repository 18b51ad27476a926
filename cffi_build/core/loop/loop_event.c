// SPDX-License-Identifier: Apache-2.0
// What a loop hands to Python: the queue of posted events, wakes, the stop.
#include <unistd.h>

#include "loop_impl.h"

bool loop_on_thread(struct loop *l)
{
	return l->running && pthread_equal(l->thread, pthread_self());
}

// Ends the wait of a loop that runs on another thread. Context: l->lock held.
static void nudge(struct loop *l)
{
	uint64_t one = 1;

	if (!loop_on_thread(l)) {
		// It can fail only when the counter is full, which wakes the loop as well.
		ssize_t n = write(l->wake_fd, &one, sizeof(one));
		(void)n;
	}
}

// Context: l->lock held.
static int post(struct loop *l, uint32_t kind, uint64_t value, void *source)
{
	if (l->queue_count == LOOP_QUEUE) {
		l->counters.refused++;
		return -ENOSPC;
	}
	l->counters.posted++;
	l->queue[(l->queue_head + l->queue_count++) % LOOP_QUEUE] =
		(struct loop_event){ .kind = kind, .value = value, .source = source };
	nudge(l);
	return 0;
}

int loop_post(struct loop *l, uint32_t kind, uint64_t value, void *source)
{
	LOCKED(&l->lock);
	return post(l, kind, value, source);
}

int loop_post_once(struct loop *l, uint32_t kind, uint64_t value, void *source)
{
	LOCKED(&l->lock);
	for (uint32_t i = 0; i < l->queue_count; i++) {
		const struct loop_event *e = &l->queue[(l->queue_head + i) % LOOP_QUEUE];
		if (e->kind == kind && e->source == source)
			return 0;
	}
	return post(l, kind, value, source);
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

bool loop_next_event(struct loop *l, struct loop_event *ret)
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
		*ret = (struct loop_event){ .kind = l->wake ? LOOP_WAKE : LOOP_STOPPED };
		if (l->wake)
			l->wake = false;
		else
			l->stop = false;
		return true;
	}
	return false;
}
