// SPDX-License-Identifier: Apache-2.0
// The real-time clock and CMOS memory of a PC: Motorola MC146818A, ports 0x70 and 0x71.
//
// Time is not counted but computed: a calendar second is a constant plus virtual time, and flags
// and interrupts come from comparing two moments. The update itself takes no time; UIP announces it
// for the 244 us that the data sheet promises. Writing SET, or a divider other than 32.768 kHz,
// freezes the time registers. The century byte (index 0x32) belongs to them. Daylight saving is not
// implemented. A periodic interrupt that the guest has not acknowledged swallows the ones after it,
// as in the chip.
#ifndef VMM_RTC_H
#define VMM_RTC_H

#include "dev.h"
#include "irq.h"
#include "rtc_clock.h"
#include "timer.h"

enum {
	RTC_STATE_VERSION = 1,
};

struct rtc {
	struct dev dev;
	struct irq_line line;
	struct vclock *clock;
	struct timer timer;
	bool irq_off; // HPET legacy replacement owns the interrupt
	uint8_t index;
	struct rtc_clock time;
};

struct rtc_state {
	uint32_t version;
	uint32_t index;
	uint32_t weekday_shift;
	int64_t seconds, phase, flags_ns;
	uint8_t cmos[RTC_CMOS_BYTES];
};

// wall_seconds: the present time since 1970-01-01 in the zone that the clock shall keep (UTC or
// local); wall_ns: 0 to 10^9 - 1, the fraction. Virtual time moves it from here. loop may be NULL
// with a manual clock.
struct rtc *rtc_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock, struct loop *loop,
		       int64_t wall_seconds, uint32_t wall_ns);
void rtc_destroy(struct rtc *r);
// RESET pin: interrupts off. Time, memory and formats are kept by the battery.
void rtc_reset(struct rtc *r);
void rtc_save(struct rtc *r, struct rtc_state *ret);
int rtc_load(struct rtc *r, const struct rtc_state *state);

// Sets the calendar, as in rtc_create(); the guest's formats stay. 0 or -EINVAL.
int rtc_set_time(struct rtc *r, int64_t wall_seconds, uint32_t wall_ns);
// CMOS memory as firmware would have left it; index 0x0e to 0x7f except the century. 0 or -EINVAL.
int rtc_poke(struct rtc *r, uint32_t index, uint8_t value);
uint8_t rtc_peek(struct rtc *r, uint32_t index);
// HPET legacy replacement takes the line away and gives it back.
void rtc_set_irq_off(struct rtc *r, bool off);

#endif
