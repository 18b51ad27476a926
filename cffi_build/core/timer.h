// SPDX-License-Identifier: Apache-2.0
// The machine's clock, which stands still while the machine is paused, and one-shot timers on it.
#ifndef VMM_TIMER_H
#define VMM_TIMER_H

#include "base.h"

struct loop;
struct timer;

// Virtual time in nanoseconds: CLOCK_MONOTONIC less the time spent paused, or, for tests, a
// number that only vclock_step() moves. Readable from any thread without a lock.
struct vclock {
	pthread_mutex_t lock; // guards timers, and stop/run against each other
	_Atomic int64_t offset; // added to CLOCK_MONOTONIC while running
	_Atomic int64_t frozen; // the time while stopped or manual, else -1
	bool manual;
	struct timer *timers;
};

struct vclock *vclock_create(bool manual);
void vclock_destroy(struct vclock *c);
int64_t vclock_ns(struct vclock *c);
void vclock_stop(struct vclock *c);
void vclock_run(struct vclock *c);
// Sets the time (restoring a saved machine). Armed timers keep their deadlines.
void vclock_set(struct vclock *c, int64_t ns);
// Manual clocks only: moves time forward and runs, on this thread, every timer that came due,
// in order of deadline.
void vclock_step(struct vclock *c, int64_t ns);

// A one-shot timer: fn runs on the loop's thread (manual clock: in vclock_step()) with no lock held; it
// takes its device's lock itself. fn may arm the timer again.
struct timer {
	struct vclock *clock;
	struct loop *loop;
	int fd; // timerfd, -1 with a manual clock
	int64_t deadline; // ns on the vclock, -1 when not armed
	void (*fn)(void *opaque);
	void *opaque;
	struct timer *next;
};

// loop may be NULL with a manual clock.
int timer_init(struct timer *t, struct vclock *c, struct loop *loop, void (*fn)(void *), void *opaque);
void timer_deinit(struct timer *t);
// deadline: ns on the vclock; in the past means at once. Callable from any thread, also with a device lock held.
void timer_arm(struct timer *t, int64_t deadline);
void timer_disarm(struct timer *t);

#endif
