// SPDX-License-Identifier: Apache-2.0
// Inside the loop: shared by loop.c (sources, dispatch) and loop_event.c (what Python gets) only.
// All functions are called with the lock held.
#ifndef VMM_LOOP_IMPL_H
#define VMM_LOOP_IMPL_H

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
	struct lock lock;
	uint32_t waiters; // who wait for the handler that runs
	_Atomic uint32_t returned; // what they sleep on: changes when it has returned
	pthread_t thread; // valid while running
	bool running;
	bool stop, wake;
	int current; // slot whose handler is running, or -1
	uint64_t dispatches; // tells one run of a handler from the next
	struct loop_source *source;
	uint32_t slots;
	struct loop_event queue[LOOP_QUEUE];
	uint32_t queue_head, queue_count;
	struct loop_event call[LOOP_BATCH]; // LOOP_CALLs of the last batch
	uint32_t call_handle[LOOP_BATCH];
	uint32_t call_head, call_count;
	struct loop_counters counters;
};

// loop_event.c
// Whether the calling thread is the one inside loop_run().
bool loop_on_thread(struct loop *l);
// Takes the next event for Python, if there is one.
bool loop_next_event(struct loop *l, struct loop_event *ret);

#endif
