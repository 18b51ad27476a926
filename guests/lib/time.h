/* SPDX-License-Identifier: Apache-2.0 */
/* Time by TSC. The rate comes from kvmclock or CPUID; where neither says, 2 GHz is assumed: good
 * enough for deadlines. */
#ifndef GUEST_TIME_H
#define GUEST_TIME_H

#include "cpu.h"

u64 tsc_khz(void);
void delay_us(u64 us);
u64 deadline_ms(u64 ms); /* TSC value then */

/* Polls `condition` for at most `ms` milliseconds; its last value. */
#define WAIT_FOR(condition, ms) \
	({ \
		u64 end_ = deadline_ms(ms); \
		bool ok_; \
		while (!(ok_ = (condition)) && rdtsc() < end_) \
			pause(); \
		ok_ || (condition); \
	})
#endif
