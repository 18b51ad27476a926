// SPDX-License-Identifier: Apache-2.0
// What every unit of the core uses: fixed-width types, errno values, atomics, small helpers.
// The core is plain GNU C11, knows no Python, never logs, starts no thread and never aborts.
#ifndef VMM_BASE_H
#define VMM_BASE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lock.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
// Rare work out of a hot function's way: the hot part then needs few registers and no frame.
#define COLD __attribute__((noinline, cold))
#define HOT static inline __attribute__((always_inline))
// Makes the compiler take the pointer as it stands: in one register, not as a sum of others that it
// would keep, or spill, beside it.
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))

// What LOCKED() holds: one of the two.
struct held {
	pthread_mutex_t *mutex;
	struct lock *lock;
};

static inline struct held held_mutex(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return (struct held){ .mutex = m };
}

static inline struct held held_lock(struct lock *l)
{
	lock_take(l);
	return (struct held){ .lock = l };
}

static inline void held_drop(struct held *h)
{
	if (h->lock)
		lock_drop(h->lock);
	else
		pthread_mutex_unlock(h->mutex);
}

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

// Holds `m`, a pthread_mutex_t or a struct lock, until the end of the enclosing scope.
#define LOCKED(m)                                                                                  \
	__attribute__((cleanup(held_drop), unused)) struct held PASTE(held_, __LINE__) =           \
		_Generic((m), pthread_mutex_t *: held_mutex, struct lock *: held_lock)(m)

// A counter written by several threads and read without a lock: only the total matters.
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

// The same for a counter that only one thread writes.
static inline void count_own(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static inline uint64_t count_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}

#endif
