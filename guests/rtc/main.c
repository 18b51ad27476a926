// SPDX-License-Identifier: Apache-2.0
// MC146818 clock and its RAM behind 0x70/0x71, interrupt on IRQ 8. Command line: epoch=SECONDS
// (host's clock, within an hour).
#include "../lib/rtc.h"
#include "guest.h"

#define REG_C 0x0c
#define REG_D 0x0d
#define SET 0x80
#define PIE 0x40
#define AIE 0x20
#define UIE 0x10
#define HOUR24 0x02
#define VEC 0x62
#define SLOW_MS 5000
#define UIP_MS 40000 // the announcement is short, and a busy host may let it pass unseen

static void irq_setup(void)
{
	irq_begin();
	irq_count_on(VEC);
	rtc_put(RTC_REG_B, HOUR24);
	rtc_get(REG_C);
	irq_reset();
	ioapic_route(8, VEC, apic_id());
}

static void irq_done(void)
{
	rtc_put(RTC_REG_B, HOUR24);
	rtc_get(REG_C);
	ioapic_route(8, IOAPIC_MASKED, 0);
}

static void valid(void)
{
	check_equal(rtc_get(REG_D) & 0x80, 0x80);
	check_equal(rtc_get(RTC_REG_A) & 0x70, 0x20); // 32768 Hz time base
	check(rtc_get(RTC_REG_B) & HOUR24);
	check(rtc_number(0) < 60 && rtc_number(2) < 60 && rtc_number(4) < 24);
	check(rtc_number(7) >= 1 && rtc_number(7) <= 31 && rtc_number(8) >= 1 &&
	      rtc_number(8) <= 12);
	check(rtc_number(RTC_CENTURY) >= 20 && rtc_number(RTC_CENTURY) < 30);
}

static void host_time(void)
{
	u64 want = arg_u64("epoch", 0), got = rtc_seconds();

	printf("# clock says %lu\n", got);
	if (want)
		check(got + 3600 > want && got < want + 3600);
}

static void advances(void)
{
	u64 a = rtc_seconds();

	check(WAIT_FOR(rtc_seconds() > a, SLOW_MS));
	check(rtc_seconds() <= a + 3);
}

/* An update is announced for at least 244 us before the digits change. */
static void update_in_progress(void)
{
	check(arg_flag("no-uip") || WAIT_FOR(rtc_get(RTC_REG_A) & RTC_UIP, UIP_MS));
	check(WAIT_FOR(!(rtc_get(RTC_REG_A) & RTC_UIP), SLOW_MS));
}

static void memory(void)
{
	u8 old = rtc_get(0x60);

	rtc_put(0x60, 0xa5);
	rtc_put(0x61, 0x5a);
	check_equal(rtc_get(0x60), 0xa5);
	check_equal(rtc_get(0x61), 0x5a);
	rtc_put(0x60, old);
}

static void index_ignores_nmi_bit(void)
{
	rtc_put(0x60, 0x11);
	check_equal(rtc_get(0x60 | 0x80), 0x11);
}

static void set_time(void)
{
	rtc_put(RTC_REG_B, rtc_get(RTC_REG_B) | SET);
	rtc_put(RTC_REG_B, HOUR24 | SET);
	rtc_put(4, 0x12);
	rtc_put(2, 0x34);
	rtc_put(0, 0x56);
	check_equal(rtc_get(2), 0x34);
	rtc_put(RTC_REG_B, HOUR24);
	check_equal(rtc_number(4), 12);
	check_equal(rtc_number(2), 34);
	check(rtc_number(0) >= 56);
}

static void periodic(void)
{
	u32 i;

	irq_setup();
	rtc_put(RTC_REG_A, 0x26); // 1024 Hz
	rtc_put(RTC_REG_B, HOUR24 | PIE);
	for (i = 1; i <= 5; i++) {
		check(irq_wait(VEC, i, SLOW_MS) >= i);
		check_equal(rtc_get(REG_C) & 0xc0, 0xc0); // reading lets the next one come
	}
	irq_done();
}

static void update_ended(void)
{
	irq_setup();
	rtc_put(RTC_REG_B, HOUR24 | UIE);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	check_equal(rtc_get(REG_C) & 0x90, 0x90);
	check_equal(rtc_get(REG_C) & 0x90, 0); // the periodic flag goes on by itself
	irq_done();
}

static void alarm(void)
{
	irq_setup();
	rtc_put(1, 0xff); // any second, minute and hour
	rtc_put(3, 0xff);
	rtc_put(5, 0xff);
	rtc_put(RTC_REG_B, HOUR24 | AIE);
	check(irq_wait(VEC, 1, SLOW_MS) >= 1);
	check_equal(rtc_get(REG_C) & 0xa0, 0xa0);
	irq_done();
}

const struct test tests[] = {
	{ "valid", valid },
	{ "host-time", host_time },
	{ "advances", advances },
	{ "update-in-progress", update_in_progress },
	{ "memory", memory },
	{ "index-ignores-nmi-bit", index_ignores_nmi_bit },
	{ "set-time", set_time },
	{ "periodic", periodic },
	{ "update-ended", update_ended },
	{ "alarm", alarm },
	{},
};
