// SPDX-License-Identifier: Apache-2.0
// Virtual time and its timers: one timerfd a timer, programmed in CLOCK_MONOTONIC by its deadline
// on the clock, and reprogrammed whenever the two clocks' relation changes.
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loop.h"
#include "timer.h"

struct vclock *vclock_create(bool manual)
{
	struct vclock *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->manual = manual;
	int64_t offset = -monotonic_ns();
	atomic_store(&c->offset, offset);
	atomic_store(&c->running_offset, manual ? VCLOCK_STANDS : offset);
	atomic_store(&c->frozen, manual ? 0 : -1);
	return c;
}

void vclock_destroy(struct vclock *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int64_t vclock_settled_ns(struct vclock *c)
{
	for (;;) {
		int64_t frozen = atomic_load_explicit(&c->frozen, memory_order_acquire);
		if (frozen >= 0)
			return frozen;
		int64_t offset = atomic_load_explicit(&c->offset, memory_order_acquire);
		int64_t now = monotonic_ns();
		if (offset == atomic_load_explicit(&c->running_offset, memory_order_acquire))
			return now + offset;
	}
}

// Between the two, readers wait: no time is read after the one the clock will be set from.
// Context: c->lock held.
static void change_begin(struct vclock *c)
{
	atomic_store(&c->running_offset, VCLOCK_STANDS);
	atomic_store(&c->frozen, -1);
}

static void change_end(struct vclock *c, int64_t frozen, int64_t offset)
{
	atomic_store(&c->offset, offset);
	atomic_store(&c->frozen, frozen);
	if (frozen < 0)
		atomic_store(&c->running_offset, offset);
}

// Gives the kernel the timer's deadline, or takes it back while not armed or the clock stands
// still. Context: clock's lock held.
static void program(struct timer *t)
{
	struct itimerspec when = { 0 };

	if (t->fd < 0)
		return;
	if (t->deadline >= 0 && atomic_load(&t->clock->frozen) < 0) {
		int64_t offset = atomic_load(&t->clock->offset);
		// A deadline beyond the end of time is never reached, one in the past is now.
		int64_t at = t->deadline > INT64_MAX + (offset < 0 ? offset : 0)
				     ? INT64_MAX
				     : t->deadline - offset;
		if (at < 1)
			at = 1; // 0 would disarm
		when.it_value.tv_sec = at / NS_PER_S;
		when.it_value.tv_nsec = at % NS_PER_S;
	}
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void program_all(struct vclock *c)
{
	for (struct timer *t = c->timers; t; t = t->next) {
		if (t->deadline >= 0)
			program(t);
	}
}

void vclock_stop(struct vclock *c)
{
	LOCKED(&c->lock);
	if (c->manual || atomic_load(&c->frozen) >= 0)
		return;
	change_begin(c);
	int64_t offset = atomic_load(&c->offset), now = monotonic_ns() + offset;
	change_end(c, now > 0 ? now : 0, offset);
	program_all(c);
}

void vclock_run(struct vclock *c)
{
	LOCKED(&c->lock);
	int64_t frozen = atomic_load(&c->frozen);

	if (c->manual || frozen < 0)
		return;
	change_begin(c);
	change_end(c, -1, frozen - monotonic_ns());
	program_all(c);
}

void vclock_set(struct vclock *c, int64_t ns)
{
	LOCKED(&c->lock);
	bool stands = atomic_load(&c->frozen) >= 0;

	change_begin(c);
	change_end(c, stands ? ns : -1, ns - monotonic_ns());
	program_all(c);
}

// The armed timer that is due first, if it is due at `now`. Context: c->lock held.
static struct timer *first_due(struct vclock *c, int64_t now)
{
	struct timer *first = NULL;

	for (struct timer *t = c->timers; t; t = t->next) {
		if (t->deadline >= 0 && t->deadline <= now &&
		    (!first || t->deadline < first->deadline))
			first = t;
	}
	return first;
}

void vclock_step(struct vclock *c, int64_t ns)
{
	if (!c->manual || ns < 0)
		return;
	pthread_mutex_lock(&c->lock);
	int64_t end = atomic_load(&c->frozen) + ns;
	struct timer *t;
	while ((t = first_due(c, end))) {
		int64_t now = atomic_load(&c->frozen);
		atomic_store(&c->frozen, t->deadline > now ? t->deadline : now);
		t->deadline = -1;
		pthread_mutex_unlock(&c->lock);
		t->fn(t->opaque);
		pthread_mutex_lock(&c->lock);
	}
	atomic_store(&c->frozen, end);
	pthread_mutex_unlock(&c->lock);
}

// The timerfd is readable. Whether the timer is still meant is decided by its deadline alone: it
// may have been moved or taken back since the kernel fired it.
static void on_timer(void *opaque, uint32_t events)
{
	struct timer *t = opaque;
	uint64_t expirations;
	bool due;

	(void)events;
	pthread_mutex_lock(&t->clock->lock);
	ssize_t n = read(t->fd, &expirations, sizeof(expirations));
	(void)n;
	bool stands = atomic_load(&t->clock->frozen) >= 0;
	due = !stands && t->deadline >= 0 && t->deadline <= vclock_ns(t->clock);
	if (due)
		t->deadline = -1;
	else
		program(t);
	pthread_mutex_unlock(&t->clock->lock);
	if (due)
		t->fn(t->opaque);
}

int timer_init(struct timer *t, struct vclock *c, struct loop *loop, void (*fn)(void *),
	       void *opaque)
{
	*t = (struct timer){ .clock = c,
			     .loop = loop,
			     .fd = -1,
			     .handle = -1,
			     .deadline = -1,
			     .fn = fn,
			     .opaque = opaque };
	if (!c->manual) {
		if (!loop)
			return -EINVAL;
		t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		if (t->fd < 0)
			return -errno;
		t->handle = loop_add(loop, t->fd, EPOLLIN, on_timer, t);
		if (t->handle < 0) {
			close(t->fd);
			t->fd = -1;
			return t->handle;
		}
	}
	LOCKED(&c->lock);
	t->next = c->timers;
	c->timers = t;
	return 0;
}

void timer_deinit(struct timer *t)
{
	if (!t->clock)
		return;
	if (t->handle >= 0)
		loop_remove(t->loop, t->handle);
	pthread_mutex_lock(&t->clock->lock);
	for (struct timer **at = &t->clock->timers; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	pthread_mutex_unlock(&t->clock->lock);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct timer){ .fd = -1, .handle = -1, .deadline = -1 };
}

static void set_deadline(struct timer *t, int64_t deadline)
{
	LOCKED(&t->clock->lock);
	if (t->deadline == deadline)
		return;
	t->deadline = deadline;
	program(t);
}

void timer_arm(struct timer *t, int64_t deadline)
{
	set_deadline(t, deadline < 0 ? 0 : deadline);
}

void timer_disarm(struct timer *t)
{
	set_deadline(t, -1);
}

int64_t timer_deadline(struct timer *t)
{
	LOCKED(&t->clock->lock);
	return t->deadline;
}
