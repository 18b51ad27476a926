// SPDX-License-Identifier: Apache-2.0
// MC146818 clock and its RAM behind 0x70/0x71, interrupt on IRQ 8. Command line: epoch=SECONDS
// (host's clock, within an hour).
#include "guest.h"

#define REG_A 0x0a
#define REG_B 0x0b
#define REG_C 0x0c
#define REG_D 0x0d
#define UIP 0x80
#define SET 0x80
#define PIE 0x40
#define AIE 0x20
#define UIE 0x10
#define BINARY 0x04
#define HOUR24 0x02
#define CENTURY 0x32
#define VEC 0x62
#define SLOW_MS 5000
#define UIP_MS 40000 // the announcement is short, and a busy host may let it pass unseen

static u8 get(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void put(u8 reg, u8 v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

static u32 number(u8 reg)
{
	u8 v = get(reg);

	return get(REG_B) & BINARY ? v : (u32)(v >> 4) * 10 + (v & 15);
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

static u64 now(void)
{
	u64 s;

	WAIT_FOR(!(get(REG_A) & UIP), SLOW_MS);
	s = days(number(CENTURY) * 100 + number(9), number(8), number(7)) * 86400;
	return s + number(4) * 3600 + number(2) * 60 + number(0);
}

static void irq_setup(void)
{
	irq_begin();
	irq_count_on(VEC);
	put(REG_B, HOUR24);
	get(REG_C);
	irq_reset();
	ioapic_route(8, VEC, apic_id());
}

static void irq_done(void)
{
	put(REG_B, HOUR24);
	get(REG_C);
	ioapic_route(8, IOAPIC_MASKED, 0);
}

static void valid(void)
{
	check_equal(get(REG_D) & 0x80, 0x80);
	check_equal(get(REG_A) & 0x70, 0x20); // 32768 Hz time base
	check(get(REG_B) & HOUR24);
	check(number(0) < 60 && number(2) < 60 && number(4) < 24);
	check(number(7) >= 1 && number(7) <= 31 && number(8) >= 1 && number(8) <= 12);
	check(number(CENTURY) >= 20 && number(CENTURY) < 30);
}

static void host_time(void)
{
	u64 want = arg_u64("epoch", 0), got = now();

	printf("# clock says %lu\n", got);
	if (want)
		check(got + 3600 > want && got < want + 3600);
}

static void advances(void)
{
	u64 a = now();

	check(WAIT_FOR(now() > a, SLOW_MS));
	check(now() <= a + 3);
}

/* An update is announced for at least 244 us before the digits change. */
static void update_in_progress(void)
{
	check(arg_flag("no-uip") || WAIT_FOR(get(REG_A) & UIP, UIP_MS));
	check(WAIT_FOR(!(get(REG_A) & UIP), SLOW_MS));
}

static void memory(void)
{
	u8 old = get(0x60);

	put(0x60, 0xa5);
	put(0x61, 0x5a);
	check_equal(get(0x60), 0xa5);
	check_equal(get(0x61), 0x5a);
	put(0x60, old);
}

static void index_ignores_nmi_bit(void)
{
	put(0x60, 0x11);
	check_equal(get(0x60 | 0x80), 0x11);
}

static void set_time(void)
{
	put(REG_B, get(REG_B) | SET);
	put(REG_B, HOUR24 | SET);
	put(4, 0x12);
	put(2, 0x34);
	put(0, 0x56);
	check_equal(get(2), 0x34);
	put(REG_B, HOUR24);
	check_equal(number(4), 12);
	check_equal(number(2), 34);
	check(number(0) >= 56);
}

static void periodic(void)
{
	u32 i;

	irq_setup();
	put(REG_A, 0x26); // 1024 Hz
	put(REG_B, HOUR24 | PIE);
	for (i = 1; i <= 5; i++) {
		check(irq_wait(VEC, i, SLOW_MS) >= i);
		check_equal(get(REG_C) & 0xc0, 0xc0); // reading lets the next one come
	}
	irq_done();
}

static void update_ended(void)
{
	irq_setup();
	put(REG_B, HOUR24 | UIE);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	check_equal(get(REG_C) & 0x90, 0x90);
	check_equal(get(REG_C) & 0x90, 0); // the periodic flag goes on by itself
	irq_done();
}

static void alarm(void)
{
	irq_setup();
	put(1, 0xff); // any second, minute and hour
	put(3, 0xff);
	put(5, 0xff);
	put(REG_B, HOUR24 | AIE);
	check(irq_wait(VEC, 1, SLOW_MS) >= 1);
	check_equal(get(REG_C) & 0xa0, 0xa0);
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
