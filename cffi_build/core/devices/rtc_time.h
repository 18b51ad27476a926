// SPDX-License-Identifier: Apache-2.0
// Calendar arithmetic and the byte formats of the RTC's registers.
#ifndef VMM_RTC_TIME_H
#define VMM_RTC_TIME_H

#include "base.h"

#define RTC_DAY_SECONDS 86400

// How the guest wants its registers: bits of register B.
struct rtc_format {
	bool binary; // DM; else BCD
	bool hours24; // else 12 hours with bit 7 for p.m.
};

struct rtc_date {
	int64_t year; // Gregorian, proleptic
	uint32_t month, day; // from 1
	uint32_t hour, minute, second;
	uint32_t weekday; // 0 is Sunday
};

// seconds: since 1970-01-01 00:00 of the clock's own time zone.
void rtc_date_of(int64_t seconds, struct rtc_date *ret);
// Fields beyond their range carry over into the next larger one, as a clock left to run would.
int64_t rtc_date_seconds(const struct rtc_date *date);

uint8_t rtc_encode(struct rtc_format f, uint32_t value);
uint32_t rtc_decode(struct rtc_format f, uint8_t byte);
uint8_t rtc_encode_hour(struct rtc_format f, uint32_t hour);
uint32_t rtc_decode_hour(struct rtc_format f, uint8_t byte);

// The first second after `after` at which the alarm bytes (11xxxxxx matches anything) equal the
// time; INT64_MAX if they never do.
int64_t rtc_next_alarm(struct rtc_format f, uint8_t hour, uint8_t minute, uint8_t second,
		       int64_t after);

#endif
