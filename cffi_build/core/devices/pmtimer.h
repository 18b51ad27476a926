// SPDX-License-Identifier: Apache-2.0
// The ACPI power management timer (ACPI 6.5, 4.8.3.3): a free-running counter at 3.579545 MHz.
#ifndef VMM_PMTIMER_H
#define VMM_PMTIMER_H

#include "dev.h"
#include "timer.h"

#define PMTIMER_HZ 3579545
#define PMTIMER_STATE_VERSION 1

struct pmtimer {
	struct dev dev;
	struct vclock *clock;
	uint32_t bits; // 24 or 32
	uint64_t mask; // of so many bits
};

struct pmtimer_state {
	uint32_t version;
	uint32_t bits;
};

// Ticks since the start of virtual time. ns: 0 or more.
static inline uint64_t pmtimer_ticks(int64_t ns)
{
	const uint64_t ticks_per_ns = 8451961665961812089; // times 2^71, rounded up
	uint64_t n = (uint64_t)ns;
	uint64_t ticks = (uint64_t)((unsigned __int128)n * ticks_per_ns >> 71);
	// Rounding can have made one too many of it; then this is negative.
	int64_t rest = (int64_t)(n * PMTIMER_HZ - ticks * NS_PER_S);

	return ticks - (rest < 0);
}

// The first moment, in ns of virtual time, at which pmtimer_ticks() gives `ticks`.
static inline int64_t pmtimer_ns(uint64_t ticks)
{
	unsigned __int128 ns = (unsigned __int128)ticks * 1000000000u;

	return (int64_t)((ns + PMTIMER_HZ - 1) / PMTIMER_HZ);
}

// bits: 24 or 32 (FADT flag TMR_VAL_EXT). NULL: other widths, or no memory.
struct pmtimer *pmtimer_create(struct vclock *clock, uint32_t bits);
void pmtimer_destroy(struct pmtimer *t);
// Nothing but the clock moves the counter, so reset changes nothing.
void pmtimer_reset(struct pmtimer *t);
void pmtimer_save(struct pmtimer *t, struct pmtimer_state *ret);
int pmtimer_load(struct pmtimer *t, const struct pmtimer_state *state);

#endif
