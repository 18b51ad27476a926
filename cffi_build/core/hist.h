// SPDX-License-Identifier: Apache-2.0
// Counts of accesses by (space, direction, address): a small open-addressed table per vCPU.
#ifndef VMM_HIST_H
#define VMM_HIST_H

#include "base.h"

#define HIST_SLOTS 1024 // a power of two
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

HOT void hist_add_many(struct hist *h, enum hist_space space, uint64_t address, uint64_t count)
{
	uint64_t key = address << 3 | space;
	uint64_t at = key * 0x9e3779b97f4a7c15ULL >> 32;

	for (uint32_t i = 0; i < HIST_PROBES; i++) {
		struct hist_slot *s = &h->slot[(at + i) & (HIST_SLOTS - 1)];
		if (likely(s->key == key)) {
			s->count += count;
			return;
		}
		if (!s->key) {
			s->key = key;
			s->count = count;
			return;
		}
	}
	h->other += count;
}

HOT void hist_add(struct hist *h, enum hist_space space, uint64_t address)
{
	hist_add_many(h, space, address, 1);
}

#endif
