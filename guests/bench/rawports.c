// SPDX-License-Identifier: Apache-2.0
// rawvmm: what ports answer.
#include <string.h>
#include <time.h>

#include "raw.h"

enum { COM1_LSR = COM1 + 5, RTC_DATA = 0x71, PM_HZ = 3579545, NS = 1000000000 };

// A clock's answer is the time; what reading it costs no monitor can spare itself.
static struct timespec now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t;
}

void raw_pm_timer(unsigned char *ret)
{
	struct timespec t = now(CLOCK_MONOTONIC);
	uint64_t ticks = (uint64_t)t.tv_sec * PM_HZ + (uint64_t)t.tv_nsec * PM_HZ / NS;

	memcpy(ret, &ticks, 4);
}

static int rtc_second(void)
{
	int second = (int)(now(CLOCK_REALTIME).tv_sec % 60);

	return second / 10 << 4 | second % 10;
}

int raw_answer(uint16_t port)
{
	switch (port) {
	case COM1_LSR:
		return 0x60; // transmitter empty
	case DEBUGCON:
		return DEBUGCON; // its name for itself
	case RTC_DATA:
		return rtc_second();
	default:
		return 0xff; // nobody there
	}
}
