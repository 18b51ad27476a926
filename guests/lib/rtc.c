// SPDX-License-Identifier: Apache-2.0
#include "cpu.h"
#include "rtc.h"
#include "time.h"

#define SLOW_MS 5000

u8 rtc_get(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

void rtc_put(u8 reg, u8 v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

u32 rtc_number(u8 reg)
{
	u8 v = rtc_get(reg);

	return rtc_get(RTC_REG_B) & RTC_BINARY ? v : (u32)(v >> 4) * 10 + (v & 15);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static u64 days(u32 year, u32 month, u32 day)
{
	if (month <= 2) {
		month += 12;
		year--;
	}
	return 365ull * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 +
	       day - 719469;
}

u64 rtc_seconds(void)
{
	u64 s;

	WAIT_FOR(!(rtc_get(RTC_REG_A) & RTC_UIP), SLOW_MS);
	s = days(rtc_number(RTC_CENTURY) * 100 + rtc_number(9), rtc_number(8), rtc_number(7)) *
	    86400;
	return s + rtc_number(4) * 3600 + rtc_number(2) * 60 + rtc_number(0);
}
