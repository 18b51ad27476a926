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
	// Compilers make `lock bts` and a jump of that.
	if (__builtin_expect(atomic_fetch_or_explicit(&l->state, LOCK_TAKEN, memory_order_acquire) &
				     LOCK_TAKEN,
			     0))
		lock_wait(l);
}

static inline __attribute__((always_inline)) void lock_drop(struct lock *l)
{
	// The last write to the lock: whoever takes it next may free it.
	if (__builtin_expect(
		    atomic_exchange_explicit(&l->state, 0, memory_order_release) != LOCK_TAKEN, 0))
		lock_wake(l);
}

#endif
