// SPDX-License-Identifier: Apache-2.0
// One epoll loop: runs on a Python thread inside loop_run(), without the GIL.
//
// Handlers run on the loop's thread with no lock held. A removal takes effect before the next wait
// and loop_remove() returns only when the handler cannot run any more (at once when called on the
// loop's thread). So never remove a source while holding a lock that its handler takes.
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
	// A channel's peer is gone; source is the channel, value the errno or 0 for EOF.
	LOOP_PEER_LOST,
	LOOP_PEER_JOINED,
	LOOP_WAKE, // loop_wake(): Python asked for attention
	LOOP_CALL, // a source served by Python is ready; value is its token
	LOOP_USER = 64, // kinds from here on are the poster's own
};

struct loop_counters {
	uint64_t wakeups; // returns of epoll_wait with something to do
	uint64_t dispatched; // handlers called
	uint64_t posted, refused; // loop_post() calls that were taken, that found the queue full
};

typedef void (*loop_fn)(void *opaque, uint32_t events);

struct loop *loop_create(void);
// Nobody is inside loop_run(), and every source has been removed by its owner or is abandoned here.
void loop_destroy(struct loop *l);
// events: EPOLLIN, EPOLLOUT, EPOLLET ... The loop watches a duplicate of fd, so the caller may
// close fd at any time. Returns a handle >= 0, or -errno (-EPERM: the file cannot be polled).
int loop_add(struct loop *l, int fd, uint32_t events, loop_fn fn, void *opaque);
// -ENOENT: no such source. Re-arms an EPOLLONESHOT source.
int loop_modify(struct loop *l, int handle, uint32_t events);
void loop_remove(struct loop *l, int handle);
// Returns when the handler that was running has returned (at once on the loop's thread): for owners
// whose handlers remove their own sources, before they free what those handlers use.
void loop_barrier(struct loop *l);
// A source that Python serves: when ready, loop_run() returns LOOP_CALL with `token`.
int loop_add_call(struct loop *l, int fd, uint32_t events, uint64_t token);
// Queues an event for loop_run()'s caller; callable from any thread. -ENOSPC when 64 are waiting.
int loop_post(struct loop *l, uint32_t kind, uint64_t value, void *source);
// The same, unless such an event of that source is waiting: for what a guest may cause at will, so
// that it leaves room for the others.
int loop_post_once(struct loop *l, uint32_t kind, uint64_t value, void *source);
// Drops queued events of a source that is about to be freed.
void loop_forget(struct loop *l, void *source);
// loop_run() returns LOOP_WAKE soon; any number of wakes before that count as one.
void loop_wake(struct loop *l);
// Runs until stopped or until an event is posted. Events that are queued already come first, the
// stop last; each stop ends one run, also one that has yet to begin. 0, -EBUSY (a thread is inside)
// or -errno.
int loop_run(struct loop *l, struct loop_event *ret);
void loop_stop(struct loop *l);
void loop_counters(struct loop *l, struct loop_counters *ret);

#endif
