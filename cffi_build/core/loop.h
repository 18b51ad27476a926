// SPDX-License-Identifier: Apache-2.0
// One epoll loop: runs on a Python thread inside loop_run(), without the GIL.
//
// Handlers run on the loop's thread with no lock held. A removal takes effect before the next wait and
// loop_remove() returns only when the handler cannot run any more (at once when called on the loop's thread).
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include "base.h"

struct loop;

// What loop_run() returns to Python for: numbers that a handler posted, or the stop.
struct loop_event {
	uint32_t kind; // LOOP_STOPPED, or a number above it that the poster and Python agree on
	uint64_t value;
	void *source;
};

enum {
	LOOP_STOPPED = 0,
	LOOP_ESCAPE, // console escape: value is the command character
	LOOP_PANIC_LINE, // the guest wrote its kernel's panic line
	LOOP_PEER_LOST, // a channel's peer is gone; source is the channel
	LOOP_PEER_JOINED,
	LOOP_WAKE, // loop_wake(): Python asked for attention
	LOOP_CALL, // a source served by Python is ready; value is its token
};

typedef void (*loop_fn)(void *opaque, uint32_t events);

struct loop *loop_create(void);
void loop_destroy(struct loop *l);
// events: EPOLLIN, EPOLLOUT, EPOLLET ... Returns a handle >= 0, or -errno (-EPERM: the file cannot be polled).
int loop_add(struct loop *l, int fd, uint32_t events, loop_fn fn, void *opaque);
int loop_modify(struct loop *l, int handle, uint32_t events);
void loop_remove(struct loop *l, int handle);
// A source that Python serves: when ready, loop_run() returns LOOP_CALL with `token`.
int loop_add_call(struct loop *l, int fd, uint32_t events, uint64_t token);
// Queues an event for loop_run()'s caller; callable from any thread. -ENOSPC when 64 are waiting.
int loop_post(struct loop *l, uint32_t kind, uint64_t value, void *source);
// Runs until stopped or until an event is posted. 0, or -errno.
int loop_run(struct loop *l, struct loop_event *ret);
void loop_stop(struct loop *l);

#endif
