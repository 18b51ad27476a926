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

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// Unlocks at the end of the scope; see LOCKED().
static inline void unlock_cleanup(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

// Holds `m` until the end of the enclosing scope.
#define LOCKED(m)                                                                                  \
	__attribute__((cleanup(unlock_cleanup), unused)) pthread_mutex_t *PASTE(held_, __LINE__) = \
		(pthread_mutex_lock(m), (m))

// A counter written by several threads and read without a lock: only the total matters.
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t count_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}

#endif
