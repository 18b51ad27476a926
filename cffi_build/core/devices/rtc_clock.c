// SPDX-License-Identifier: Apache-2.0
#include "rtc_clock.h"

#include "rtc_time.h"

#define NS RTC_NS
#define XTAL_HZ 32768
#define UIP_NS 244141 // 8 cycles of the crystal

static struct rtc_format format(const struct rtc_clock *c)
{
	return (struct rtc_format){
		.binary = c->cmos[RTC_REG_B] & RTC_B_DM,
		.hours24 = c->cmos[RTC_REG_B] & RTC_B_24,
	};
}

static bool chain_runs(const struct rtc_clock *c)
{
	return (c->cmos[RTC_REG_A] >> RTC_A_DV_SHIFT & 7) == RTC_A_DV_RUN;
}

bool rtc_clock_runs(const struct rtc_clock *c)
{
	return chain_runs(c) && !(c->cmos[RTC_REG_B] & RTC_B_SET);
}

static int64_t second_at(const struct rtc_clock *c, int64_t now)
{
	return c->seconds + (now + c->phase) / NS;
}

// Cycles of the crystal, counted so that every calendar second begins with a multiple of XTAL_HZ.
static uint64_t cycles_at(const struct rtc_clock *c, int64_t now)
{
	return (uint64_t)((unsigned __int128)(now + c->phase) * XTAL_HZ / NS);
}

static int64_t cycles_ns(const struct rtc_clock *c, uint64_t cycles)
{
	return (int64_t)(((unsigned __int128)cycles * NS + XTAL_HZ - 1) / XTAL_HZ) - c->phase;
}

// log2 of the periodic rate in cycles; 0 when there is none. Table 3 of the data sheet: the two
// fastest codes of a 32.768 kHz crystal repeat slower ones.
static uint32_t period_shift(const struct rtc_clock *c)
{
	uint32_t rate = c->cmos[RTC_REG_A] & 0xf;

	if (!rate || !chain_runs(c))
		return 0;
	return rate < 3 ? rate + 6 : rate - 1;
}

static int64_t next_alarm(const struct rtc_clock *c, int64_t after)
{
	return rtc_next_alarm(format(c), c->cmos[RTC_HOUR_ALARM], c->cmos[RTC_MINUTE_ALARM],
			      c->cmos[RTC_SECOND_ALARM], after);
}

static uint32_t two_digits(int64_t n)
{
	return (uint32_t)((n % 100 + 100) % 100);
}

void rtc_clock_freeze(struct rtc_clock *c, int64_t now)
{
	struct rtc_format f = format(c);
	struct rtc_date date;

	if (rtc_clock_fresh(c, now)) // a guest reads one register after the other
		return;
	c->shown_ns = now - (now + c->phase) % NS;
	rtc_date_of(second_at(c, now), &date);
	c->cmos[RTC_SECOND] = rtc_encode(f, date.second);
	c->cmos[RTC_MINUTE] = rtc_encode(f, date.minute);
	c->cmos[RTC_HOUR] = rtc_encode_hour(f, date.hour);
	c->cmos[RTC_WEEKDAY] = rtc_encode(f, (date.weekday + c->weekday_shift) % 7 + 1);
	c->cmos[RTC_DAY] = rtc_encode(f, date.day);
	c->cmos[RTC_MONTH] = rtc_encode(f, date.month);
	c->cmos[RTC_YEAR] = rtc_encode(f, two_digits(date.year));
	c->cmos[RTC_CENTURY] = rtc_encode(f, two_digits((date.year - two_digits(date.year)) / 100));
}

void rtc_clock_thaw(struct rtc_clock *c, int64_t now)
{
	struct rtc_format f = format(c);
	struct rtc_date date = {
		// GUEST: any bytes; values out of range carry over
		.year = (int64_t)rtc_decode(f, c->cmos[RTC_CENTURY]) * 100 +
			rtc_decode(f, c->cmos[RTC_YEAR]),
		.month = rtc_decode(f, c->cmos[RTC_MONTH]),
		.day = rtc_decode(f, c->cmos[RTC_DAY]),
		.hour = rtc_decode_hour(f, c->cmos[RTC_HOUR]),
		.minute = rtc_decode(f, c->cmos[RTC_MINUTE]),
		.second = rtc_decode(f, c->cmos[RTC_SECOND]),
	};
	int64_t seconds = rtc_date_seconds(&date);
	uint32_t weekday = rtc_decode(f, c->cmos[RTC_WEEKDAY]);

	c->shown_ns = RTC_STALE; // values out of range are to come back in it
	c->seconds = seconds - (now + c->phase) / NS;
	rtc_date_of(seconds, &date);
	c->weekday_shift = (weekday % 7 + 13 - date.weekday) % 7;
}

void rtc_clock_sync(struct rtc_clock *c, int64_t now)
{
	int64_t from = c->flags_ns;
	uint32_t shift = period_shift(c);

	c->flags_ns = now;
	if (now <= from)
		return;
	if (shift && cycles_at(c, now) >> shift != cycles_at(c, from) >> shift)
		c->cmos[RTC_REG_C] |= RTC_IRQ_PERIODIC;
	if (!rtc_clock_runs(c) || second_at(c, now) == second_at(c, from))
		return;
	c->cmos[RTC_REG_C] |= RTC_IRQ_UPDATE;
	if (next_alarm(c, second_at(c, from)) <= second_at(c, now))
		c->cmos[RTC_REG_C] |= RTC_IRQ_ALARM;
}

bool rtc_clock_irq(const struct rtc_clock *c)
{
	return c->cmos[RTC_REG_B] & c->cmos[RTC_REG_C] & RTC_IRQ_BITS;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t rtc_clock_next_irq(const struct rtc_clock *c, int64_t now)
{
	uint32_t shift = period_shift(c);
	int64_t when = INT64_MAX;

	if ((c->cmos[RTC_REG_B] & RTC_IRQ_PERIODIC) && shift)
		when = cycles_ns(c, ((cycles_at(c, now) >> shift) + 1) << shift);
	if (!rtc_clock_runs(c))
		return when;
	if (c->cmos[RTC_REG_B] & RTC_IRQ_UPDATE)
		when = earlier(when, ((now + c->phase) / NS + 1) * NS - c->phase);
	if (c->cmos[RTC_REG_B] & RTC_IRQ_ALARM) {
		int64_t alarm = next_alarm(c, second_at(c, now));
		if (alarm != INT64_MAX)
			when = earlier(when, (alarm - c->seconds) * NS - c->phase);
	}
	return when;
}

bool rtc_clock_is_time(uint32_t index)
{
	return index == RTC_SECOND || index == RTC_MINUTE || index == RTC_HOUR ||
	       index == RTC_CENTURY || (index >= RTC_WEEKDAY && index <= RTC_YEAR);
}

bool rtc_clock_uip(const struct rtc_clock *c, int64_t now)
{
	return rtc_clock_runs(c) && (now + c->phase) % NS >= NS - UIP_NS;
}

void rtc_clock_control(struct rtc_clock *c, int64_t now, uint32_t index, uint8_t value)
{
	bool chain_ran = chain_runs(c), clock_ran = rtc_clock_runs(c);

	if (clock_ran)
		rtc_clock_freeze(c, now);
	c->shown_ns = RTC_STALE; // in the format that held so far
	if (index == RTC_REG_A)
		c->cmos[RTC_REG_A] = value & (uint8_t)~RTC_A_UIP;
	else
		c->cmos[RTC_REG_B] = value & RTC_B_SET ? value & (uint8_t)~RTC_IRQ_UPDATE : value;
	// A divider released from reset makes its first update half a second later.
	if (!chain_ran && chain_runs(c))
		c->phase = (NS + NS / 2 - now % NS) % NS;
	if (!clock_ran && rtc_clock_runs(c))
		rtc_clock_thaw(c, now);
}

void rtc_clock_set(struct rtc_clock *c, int64_t now, int64_t wall_seconds, uint32_t wall_ns)
{
	c->phase = (NS + (int64_t)wall_ns - now % NS) % NS;
	c->seconds = wall_seconds - (now + c->phase) / NS;
	c->weekday_shift = 0;
	c->shown_ns = RTC_STALE;
	rtc_clock_freeze(c, now);
}
