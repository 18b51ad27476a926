// SPDX-License-Identifier: Apache-2.0
// Counts of accesses by (space, direction, address): a small open-addressed table per vCPU.
#ifndef VMM_HIST_H
#define VMM_HIST_H

#include "base.h"

#define HIST_BITS 10
#define HIST_SLOTS (1 << HIST_BITS)
#define HIST_PROBES 8

enum hist_space {
	HIST_PIO_READ = 1,
	HIST_PIO_WRITE,
	HIST_MMIO_READ,
	HIST_MMIO_WRITE,
	HIST_MSR_READ,
	HIST_MSR_WRITE,
};

struct hist_slot {
	uint64_t key; // address << 3 | enum hist_space; 0 is a free slot
	uint64_t count;
};

// GUEST: the guest picks the addresses, so the table is bounded and what does not fit is summed.
struct hist {
	uint64_t other;
	struct hist_slot slot[HIST_SLOTS];
};

HOT uint64_t hist_slot(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15ULL >> (64 - HIST_BITS);
}

// Counts in the slot of `key`, from `at` on: one that is in use already, the first free one, or
// none.
static __attribute__((noinline, cold, unused)) void hist_probe(struct hist *h, uint64_t key,
							       uint64_t at, uint64_t count)
{
	for (uint32_t i = 0; i < HIST_PROBES; i++) {
		struct hist_slot *s = &h->slot[(at + i) % HIST_SLOTS];
		if (!s->key || s->key == key) {
			s->key = key;
			s->count += count;
			return;
		}
	}
	h->other += count;
}

HOT void hist_add_many(struct hist *h, uint64_t space, uint64_t address, uint64_t count)
{
	uint64_t key = address * 8 + space, at = hist_slot(key);

	if (likely(h->slot[at].key == key))
		h->slot[at].count += count;
	else
		hist_probe(h, key, at, count);
}

HOT void hist_add(struct hist *h, uint64_t space, uint64_t address)
{
	hist_add_many(h, space, address, 1);
}

#endif
