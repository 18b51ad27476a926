// SPDX-License-Identifier: Apache-2.0
// A lock that costs a few instructions while nobody waits for it: every exit takes a device's.
//
// Not recursive, not fair; whoever finds it taken sleeps in the kernel (futex(2)).
#ifndef VMM_LOCK_H
#define VMM_LOCK_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct lock {
	_Atomic uint32_t state; // 0 free, 1 taken, 2 taken and somebody may wait
};

// Sleeps until the lock is this thread's. Whoever has waited leaves 2 behind: others may still
// sleep.
static __attribute__((noinline, cold, unused)) void lock_wait(struct lock *l)
{
	while (atomic_exchange_explicit(&l->state, 2, memory_order_acquire))
		syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static __attribute__((noinline, cold, unused)) void lock_wake(struct lock *l)
{
	syscall(SYS_futex, &l->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void lock_init(struct lock *l)
{
	atomic_init(&l->state, 0);
}

static inline __attribute__((always_inline)) void lock_take(struct lock *l)
{
	uint32_t free = 0;

	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&l->state, &free, 1,
								      memory_order_acquire,
								      memory_order_relaxed),
			     0))
		lock_wait(l);
}

static inline __attribute__((always_inline)) void lock_drop(struct lock *l)
{
	if (__builtin_expect(atomic_exchange_explicit(&l->state, 0, memory_order_release) == 2, 0))
		lock_wake(l);
}

#endif
