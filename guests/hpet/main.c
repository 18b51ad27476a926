// SPDX-License-Identifier: Apache-2.0
// HPET (IA-PC HPET 1.0a): capabilities, main counter, a comparator that interrupts once and again.
#include "guest.h"

#define HPET 0xfed00000
#define CAPS HPET
#define CONFIG (HPET + 0x10)
#define STATUS (HPET + 0x20)
#define COUNTER (HPET + 0xf0)
#define TIMER(n) (HPET + 0x100 + 0x20 * (n))
#define COMPARATOR(n) (TIMER(n) + 8)
#define ENABLE 1
#define T_LEVEL 2
#define T_INTERRUPT 4
#define T_PERIODIC 8
#define T_CAN_PERIODIC 16
#define T_SET_VALUE 0x40
#define VEC 0x63
#define FS_PER_S 1000000000000000ull
#define SLOW_MS 5000

static u32 pin, timer;

static u64 ticks_per_ms(void)
{
	return FS_PER_S / 1000 / (read64(CAPS) >> 32);
}

static void stop(void)
{
	write64(CONFIG, 0);
	write64(TIMER(timer), 0);
	write64(STATUS, 0xffffffff);
	if (pin)
		ioapic_route(pin, IOAPIC_MASKED, 0);
}

/* Counter from 0, comparator routed to the highest pin it may take below 24. */
static void start(u64 mode)
{
	u32 routes = (u32)(read64(TIMER(timer)) >> 32);

	stop();
	for (pin = 23; pin && !(routes & (1u << pin)); pin--)
		;
	irq_begin();
	irq_count_on(VEC);
	ioapic_route(pin, VEC, apic_id());
	write64(COUNTER, 0);
	write64(TIMER(timer), mode | T_INTERRUPT | pin << 9);
}

static void capabilities(void)
{
	u64 caps = read64(CAPS);

	printf("# capabilities %lx, timer 0 %lx\n", caps, read64(TIMER(0)));
	check((caps >> 32) > 0 && (caps >> 32) <= 0x5f5e100); // period at most 100 ns
	check(((caps >> 8) & 31) >= 2); // three timers or more
	check((caps & 0xff) != 0);
	check(acpi_rsdp() == NULL || acpi_find("HPET") != NULL);
}

static void counts(void)
{
	u64 a;

	stop();
	write64(COUNTER, 0x1000);
	check_equal(read64(COUNTER), 0x1000); // stands still while disabled
	write64(CONFIG, ENABLE);
	a = read64(COUNTER);
	delay_us(5000);
	check(read64(COUNTER) > a);
	check(read32(COUNTER) >= (u32)a);
	stop();
}

static void oneshot(void)
{
	start(0);
	check(pin != 0);
	write64(COMPARATOR(timer), 5 * ticks_per_ms());
	write64(CONFIG, ENABLE);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	check(read64(COUNTER) >= 5 * ticks_per_ms());
	irq_drain();
	check_equal(irq_counts[VEC], 1);
	stop();
}

static void periodic(void)
{
	check(read64(TIMER(timer)) & T_CAN_PERIODIC);
	start(T_PERIODIC | T_SET_VALUE);
	write64(COMPARATOR(timer), 5 * ticks_per_ms());
	write64(COMPARATOR(timer), 5 * ticks_per_ms());
	write64(CONFIG, ENABLE);
	check(irq_wait(VEC, 4, SLOW_MS) >= 4);
	stop();
}

static void level(void)
{
	start(T_LEVEL);
	ioapic_route(pin, IOAPIC_MASKED, 0);
	write64(COMPARATOR(timer), ticks_per_ms());
	write64(CONFIG, ENABLE);
	check(WAIT_FOR(read64(STATUS) & 1, SLOW_MS));
	write64(CONFIG, 0);
	write64(STATUS, 1);
	check_equal(read64(STATUS) & 1, 0);
	stop();
}

const struct test tests[] = {
	{ "capabilities", capabilities }, { "counts", counts }, { "oneshot", oneshot },
	{ "periodic", periodic },	  { "level", level },	{},
};
