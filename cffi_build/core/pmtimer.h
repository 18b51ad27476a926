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
};

struct pmtimer_state {
	uint32_t version;
	uint32_t bits;
};

// Ticks since the start of virtual time.
static inline uint64_t pmtimer_ticks(int64_t ns)
{
	uint64_t seconds = (uint64_t)ns / 1000000000u, rest = (uint64_t)ns % 1000000000u;

	return ns < 0 ? 0 : seconds * PMTIMER_HZ + rest * PMTIMER_HZ / 1000000000u;
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
