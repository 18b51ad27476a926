// SPDX-License-Identifier: Apache-2.0
#include "rtc_time.h"

// Days before 1970-01-01 of the calendar's own epoch, 0000-03-01: years that begin in March have
// their leap day last, so month lengths follow one line.
#define EPOCH_DAYS 719468
#define ERA_DAYS 146097 // 400 years

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

void rtc_date_of(int64_t seconds, struct rtc_date *ret)
{
	int64_t days = floor_div(seconds, RTC_DAY_SECONDS);
	uint32_t in_day = (uint32_t)(seconds - days * RTC_DAY_SECONDS);
	int64_t since = days + EPOCH_DAYS;
	int64_t era = floor_div(since, ERA_DAYS);
	int64_t in_era = since - era * ERA_DAYS;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * in_year + 2) / 153;

	ret->day = (uint32_t)(in_year - (153 * from_march + 2) / 5 + 1);
	ret->month = (uint32_t)(from_march < 10 ? from_march + 3 : from_march - 9);
	ret->year = era * 400 + year + (ret->month <= 2);
	ret->hour = in_day / 3600;
	ret->minute = in_day / 60 % 60;
	ret->second = in_day % 60;
	ret->weekday = (uint32_t)(days + 4 - 7 * floor_div(days + 4, 7)); // day 0 was a Thursday
}

int64_t rtc_date_seconds(const struct rtc_date *date)
{
	int64_t month = (int64_t)date->month - 1;
	int64_t years = date->year + floor_div(month, 12);
	month -= 12 * floor_div(month, 12);
	int64_t year = years - (month < 2);
	int64_t era = floor_div(year, 400);
	int64_t in_era = year - era * 400;
	int64_t from_march = month < 2 ? month + 10 : month - 2;
	int64_t days = era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 +
		       (153 * from_march + 2) / 5 + (int64_t)date->day - 1 - EPOCH_DAYS;

	return days * RTC_DAY_SECONDS + (int64_t)date->hour * 3600 + (int64_t)date->minute * 60 +
	       date->second;
}

uint8_t rtc_encode(struct rtc_format f, uint32_t value)
{
	return (uint8_t)(f.binary ? value : (value / 10) << 4 | value % 10);
}

uint32_t rtc_decode(struct rtc_format f, uint8_t byte)
{
	return f.binary ? byte : (uint32_t)(byte >> 4) * 10 + (byte & 0xf);
}

uint8_t rtc_encode_hour(struct rtc_format f, uint32_t hour)
{
	if (f.hours24)
		return rtc_encode(f, hour);
	uint8_t of12 = rtc_encode(f, hour % 12 ? hour % 12 : 12);
	return (uint8_t)(of12 | (hour >= 12 ? 0x80 : 0));
}

uint32_t rtc_decode_hour(struct rtc_format f, uint8_t byte)
{
	if (f.hours24)
		return rtc_decode(f, byte);
	return rtc_decode(f, byte & 0x7f) % 12 + (byte & 0x80 ? 12 : 0);
}

static bool any(uint8_t alarm)
{
	return (alarm & 0xc0) == 0xc0;
}

static bool possible(struct rtc_format f, uint8_t alarm)
{
	uint32_t value = rtc_decode(f, alarm);

	return any(alarm) || (value < 60 && rtc_encode(f, value) == alarm);
}

static bool possible_hour(struct rtc_format f, uint8_t alarm)
{
	uint32_t hour = rtc_decode_hour(f, alarm);

	return any(alarm) || (hour < 24 && rtc_encode_hour(f, hour) == alarm);
}

int64_t rtc_next_alarm(struct rtc_format f, uint8_t hour, uint8_t minute, uint8_t second,
		       int64_t after)
{
	// GUEST: the alarm bytes. Since each of them matches some time, the walk below takes at
	// most 25 + 60 + 60 steps.
	if (!possible_hour(f, hour) || !possible(f, minute) || !possible(f, second))
		return INT64_MAX;
	for (int64_t t = after + 1;;) {
		uint32_t in_day = (uint32_t)(t - RTC_DAY_SECONDS * floor_div(t, RTC_DAY_SECONDS));
		if (!any(hour) && rtc_encode_hour(f, in_day / 3600) != hour)
			t += 3600 - in_day % 3600;
		else if (!any(minute) && rtc_encode(f, in_day / 60 % 60) != minute)
			t += 60 - in_day % 60;
		else if (!any(second) && rtc_encode(f, in_day % 60) != second)
			t++;
		else
			return t;
	}
}
