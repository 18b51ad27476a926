// SPDX-License-Identifier: Apache-2.0
// The calls that are answered in C, for whoever looks on: a ring of records for each vCPU. Its own
// thread fills it and waits for nobody; one reader empties it.
#include "xenus_impl.h"

#include <stdlib.h>
#include <unistd.h>

#define RECORDS 4096 // a power of two

struct xenus_ring {
	int wake_fd;
	_Atomic uint64_t put, taken, lost;
	struct xenus_seen record[RECORDS];
};

int64_t xenus_begin_call(struct xenus_vcpu *u)
{
	if (likely(!u->ring))
		return 0;
	u->behind_length = 0;
	return monotonic_ns();
}

void xenus_keep_behind(struct xenus_vcpu *u, const void *from, uint64_t length)
{
	if (u->behind_length) // the first structure tells the most
		return;
	u->behind_length = length < XENUS_BEHIND ? (uint32_t)length : XENUS_BEHIND;
	memcpy(u->behind, from, u->behind_length);
}

void xenus_tell_call(struct xenus_vcpu *u, int64_t began, int64_t result)
{
	struct xenus_ring *ring = u->ring;
	uint64_t one = 1;

	if (likely(!ring))
		return;
	uint64_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
	uint64_t used = put - atomic_load_explicit(&ring->taken, memory_order_acquire);
	if (used == RECORDS) {
		count_add(&ring->lost, 1);
		return;
	}
	struct xenus_seen *seen = &ring->record[put % RECORDS];
	*seen = (struct xenus_seen){ .began = began,
				     .took = monotonic_ns() - began,
				     .number = u->call.number,
				     .result = result,
				     .behind_length = u->behind_length };
	memcpy(seen->params, u->call.params, sizeof(seen->params));
	memcpy(seen->behind, u->behind, u->behind_length);
	atomic_store_explicit(&ring->put, put + 1, memory_order_release);
	if (used == RECORDS / 2) {
		ssize_t n = write(ring->wake_fd, &one, sizeof(one));
		(void)n; // full: the reader knows
	}
}

int xenus_watch(struct xenus *x, int wake_fd)
{
	for (uint32_t i = 0; i < x->count; i++) {
		x->vcpu[i].ring = calloc(1, sizeof(*x->vcpu[i].ring));
		if (!x->vcpu[i].ring)
			return -ENOMEM;
		x->vcpu[i].ring->wake_fd = wake_fd;
	}
	return 0;
}

uint32_t xenus_take_seen(struct xenus *x, uint32_t vcpu, struct xenus_seen *ret, uint32_t max)
{
	struct xenus_ring *ring = x->vcpu[vcpu].ring;
	uint64_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	uint64_t put = atomic_load_explicit(&ring->put, memory_order_acquire);
	uint32_t count = 0;

	for (; taken < put && count < max; taken++)
		ret[count++] = ring->record[taken % RECORDS];
	atomic_store_explicit(&ring->taken, taken, memory_order_release);
	return count;
}

uint64_t xenus_calls_lost(struct xenus *x)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < x->count; i++)
		lost += atomic_load(&x->vcpu[i].ring->lost);
	return lost;
}
