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
	_Atomic uint32_t state; // bits: LOCK_TAKEN, LOCK_AWAITED
};

enum {
	LOCK_TAKEN = 1,
	LOCK_AWAITED = 2, // somebody may sleep
};

// Sleeps until the lock is this thread's. Whoever has waited leaves LOCK_AWAITED behind: others may
// still sleep.
static __attribute__((noinline, cold, unused)) void lock_wait(struct lock *l)
{
	const uint32_t both = LOCK_TAKEN | LOCK_AWAITED;

	while (atomic_fetch_or_explicit(&l->state, both, memory_order_acquire) & LOCK_TAKEN)
		syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, both, NULL, NULL, 0);
}

// The lock is free, and perhaps taken again by now. Whoever is woken here, and whoever comes
// meanwhile and finds it taken, sets LOCK_AWAITED again.
static __attribute__((noinline, cold, unused)) void lock_wake(struct lock *l)
{
	atomic_fetch_and_explicit(&l->state, ~(uint32_t)LOCK_AWAITED, memory_order_relaxed);
	syscall(SYS_futex, &l->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void lock_init(struct lock *l)
{
	atomic_init(&l->state, 0);
}

static inline __attribute__((always_inline)) void lock_take(struct lock *l)
{
	// One bit each way: compilers make that `lock bts` and `lock sub` with a jump.
	if (__builtin_expect(atomic_fetch_or_explicit(&l->state, LOCK_TAKEN, memory_order_acquire) &
				     LOCK_TAKEN,
			     0))
		lock_wait(l);
}

static inline __attribute__((always_inline)) void lock_drop(struct lock *l)
{
	if (__builtin_expect(atomic_fetch_sub_explicit(&l->state, LOCK_TAKEN,
						       memory_order_release) != LOCK_TAKEN,
			     0))
		lock_wake(l);
}

#endif
