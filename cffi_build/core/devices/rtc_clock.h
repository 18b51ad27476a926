// SPDX-License-Identifier: Apache-2.0
// The MC146818's time: registers, calendar, flags, and when the next interrupt comes. No lock, no
// line.
#ifndef VMM_RTC_CLOCK_H
#define VMM_RTC_CLOCK_H

#include "base.h"

#define RTC_NS 1000000000
#define RTC_CMOS_BYTES 128
#define RTC_STALE INT64_MIN

// Indices.
enum {
	RTC_SECOND,
	RTC_SECOND_ALARM,
	RTC_MINUTE,
	RTC_MINUTE_ALARM,
	RTC_HOUR,
	RTC_HOUR_ALARM,
	RTC_WEEKDAY,
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_REG_A,
	RTC_REG_B,
	RTC_REG_C,
	RTC_REG_D,
	RTC_CENTURY = 0x32,
};

// Bits of registers A to D.
enum {
	RTC_A_UIP = 1 << 7,
	RTC_A_DV_SHIFT = 4,
	RTC_A_DV_RUN = 2,
	RTC_B_SET = 1 << 7,
	RTC_IRQ_PERIODIC = 1 << 6, // PIE in B, PF in C
	RTC_IRQ_ALARM = 1 << 5,
	RTC_IRQ_UPDATE = 1 << 4,
	RTC_IRQ_BITS = RTC_IRQ_PERIODIC | RTC_IRQ_ALARM | RTC_IRQ_UPDATE,
	RTC_B_SQWE = 1 << 3,
	RTC_B_DM = 1 << 2,
	RTC_B_24 = 1 << 1,
	RTC_C_IRQF = 1 << 7,
	RTC_D_VRT = 1 << 7,
};

struct rtc_clock {
	uint8_t cmos[RTC_CMOS_BYTES]; // time registers: valid while frozen only
	// When the second began that the time registers hold; RTC_STALE: they hold any other time.
	int64_t shown_ns;
	int64_t seconds; // calendar seconds since 1970 = seconds + whole seconds of (now + phase)
	int64_t phase; // ns, 0 to 10^9 - 1: where in a second virtual time 0 lies
	uint32_t weekday_shift; // what the guest's day of the week is ahead of the calendar's
	int64_t flags_ns; // the flags in register C cover virtual time up to here
};

// now: virtual time in ns; it does not decrease.

// Is the calendar moving?
bool rtc_clock_runs(const struct rtc_clock *c);
bool rtc_clock_is_time(uint32_t index);
// Is an update at most 244 us away?
bool rtc_clock_uip(const struct rtc_clock *c, int64_t now);
// Do the time registers hold the time of `now`?
static inline bool rtc_clock_fresh(const struct rtc_clock *c, int64_t now)
{
	return (uint64_t)now - (uint64_t)c->shown_ns < RTC_NS;
}
// Puts the calendar's present time into the registers.
void rtc_clock_freeze(struct rtc_clock *c, int64_t now);
// Takes the calendar's time from the registers.
void rtc_clock_thaw(struct rtc_clock *c, int64_t now);
// Sets the calendar, keeping the formats.
void rtc_clock_set(struct rtc_clock *c, int64_t now, int64_t wall_seconds, uint32_t wall_ns);
// Brings the flags of register C up to `now`. Must come before anything that they depend on
// changes.
void rtc_clock_sync(struct rtc_clock *c, int64_t now);
// A write to register A or B: what runs, how fast, in which format.
void rtc_clock_control(struct rtc_clock *c, int64_t now, uint32_t index, uint8_t value);
bool rtc_clock_irq(const struct rtc_clock *c);
// When the next enabled interrupt comes; INT64_MAX for never.
int64_t rtc_clock_next_irq(const struct rtc_clock *c, int64_t now);

#endif
