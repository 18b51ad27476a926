// SPDX-License-Identifier: Apache-2.0
// The machine's clock, which stands still while the machine is paused, and one-shot timers on it.
#ifndef VMM_TIMER_H
#define VMM_TIMER_H

#include <time.h>

#include "base.h"

#define NS_PER_S 1000000000

#define VCLOCK_STANDS INT64_MIN // no offset that a clock can have

struct loop;
struct timer;

// Virtual time in nanoseconds: CLOCK_MONOTONIC less the time spent paused, or, for tests, a
// number that only vclock_step() moves. Readable from any thread without a lock.
struct vclock {
	pthread_mutex_t lock; // guards timers, and stop/run against each other
	_Atomic int64_t offset; // added to CLOCK_MONOTONIC while running
	// The same while running, else VCLOCK_STANDS: a time read between a load of offset and one
	// of this is right if both gave the same.
	_Atomic int64_t running_offset;
	_Atomic int64_t frozen; // the time while stopped or manual, else -1
	bool manual;
	struct timer *timers;
};

// A real clock starts at 0 and runs; a manual one stands at 0. NULL: no memory.
struct vclock *vclock_create(bool manual);
// Every timer has been taken off it with timer_deinit().
void vclock_destroy(struct vclock *c);
// For vclock_ns(): while stopped or manual, or while a writer is at it.
COLD int64_t vclock_settled_ns(struct vclock *c);

static inline int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

// Guests read clocks all the time, most of them one that runs undisturbed.
static inline int64_t vclock_ns(struct vclock *c)
{
	int64_t offset = atomic_load_explicit(&c->offset, memory_order_acquire);
	int64_t now = monotonic_ns();

	if (unlikely(offset != atomic_load_explicit(&c->running_offset, memory_order_acquire)))
		return vclock_settled_ns(c);
	return now + offset;
}

// While stopped no timer begins to fire (one whose fn has begun finishes); what came due fires
// after vclock_run(). Both may be repeated; neither does anything to a manual clock.
void vclock_stop(struct vclock *c);
void vclock_run(struct vclock *c);
// Sets the time (restoring a saved machine), ns >= 0. Armed timers keep their deadlines.
void vclock_set(struct vclock *c, int64_t ns);
// Manual clocks only: moves time forward and runs, on this thread, every timer that came due,
// in order of deadline.
void vclock_step(struct vclock *c, int64_t ns);

// A one-shot timer: fn runs on the loop's thread (manual clock: in vclock_step()) with no lock
// held; it takes its device's lock itself, and looks again whether there is something to do: a
// disarm on another thread can come just too late to keep it from running. fn may arm the timer
// again.
struct timer {
	struct vclock *clock;
	struct loop *loop;
	int fd; // timerfd, -1 with a manual clock
	int handle; // in the loop
	int64_t deadline; // ns on the vclock, -1 when not armed
	void (*fn)(void *opaque);
	void *opaque;
	struct timer *next;
};

// loop may be NULL with a manual clock. 0 or -errno.
int timer_init(struct timer *t, struct vclock *c, struct loop *loop, void (*fn)(void *),
	       void *opaque);
// Waits for an fn that runs on the loop's thread: not with a lock held that fn takes.
void timer_deinit(struct timer *t);
// deadline: ns on the vclock; in the past means at once. Callable from any thread, also with a
// device lock held.
void timer_arm(struct timer *t, int64_t deadline);
void timer_disarm(struct timer *t);
// The deadline, or -1 when not armed.
int64_t timer_deadline(struct timer *t);

#endif
