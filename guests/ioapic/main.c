// SPDX-License-Identifier: Apache-2.0
// The I/O APIC's index and data registers between two CPUs and other devices' registers: a write of
// the index may be queued, but comes before whatever the guest does next.
#include "guest.h"

#define PINS 24
#define ROUNDS 400
#define REG_LOW(pin) (0x10 + 2 * (pin))
#define REG_HIGH(pin) (0x11 + 2 * (pin))
#define DEBUG_PORT 0x80
#define SLOW_MS 30000

static struct spinlock lock;
static u32 wrong, finished;

static void select(u32 reg)
{
	write32(IOAPIC_BASE, reg);
}

static u32 window(void)
{
	return read32(IOAPIC_BASE + 0x10);
}

static u32 pattern(u32 pin, u32 round)
{
	return (pin * 7 + round * 13) << 24;
}

// Each CPU has pins of its own and keeps finding there what it wrote.
static void hammer(u32 first)
{
	u32 round, pin;

	for (round = 0; round < ROUNDS; round++) {
		pin = first + 2 * (round % (PINS / 2));
		spin_lock(&lock);
		select(REG_HIGH(pin));
		write32(IOAPIC_BASE + 0x10, pattern(pin, round));
		spin_unlock(&lock);
		spin_lock(&lock);
		select(REG_HIGH(pin));
		if ((window() & 0xff000000) != pattern(pin, round))
			atomic_inc(&wrong);
		spin_unlock(&lock);
	}
	atomic_inc(&finished);
}

static void ap_main(void)
{
	hammer(1);
}

static void index_is_read_back(void)
{
	u32 reg;

	for (reg = 0; reg < 0x40; reg++) {
		select(reg);
		check_equal(read32(IOAPIC_BASE) & 0xff, reg);
	}
}

static void last_index_counts(void)
{
	u32 i;

	for (i = 0; i < 300; i++) // more than a page of queued writes
		select(REG_HIGH(i % PINS));
	select(1);
	check_equal(window() & 0xff, ioapic_read(1) & 0xff);
	check_equal((window() >> 16 & 0xff) + 1, ioapic_pins());
}

static void index_survives_other_accesses(void)
{
	u32 pin;

	for (pin = 0; pin < PINS; pin++)
		ioapic_write(REG_HIGH(pin), pattern(pin, 1));
	for (pin = 0; pin < PINS; pin++) {
		select(REG_HIGH(pin));
		outb(DEBUG_PORT, (u8)pin); // an exit of another kind between the two
		check_equal(window() & 0xff000000, pattern(pin, 1));
	}
}

static void two_cpus(void)
{
	smp_start(ap_main);
	check(smp_wait(2, SLOW_MS));
	hammer(0);
	check(WAIT_FOR(READ_ONCE(finished) == 2, SLOW_MS));
	check_equal(READ_ONCE(wrong), 0);
}

const struct test tests[] = {
	{ "index-is-read-back", index_is_read_back },
	{ "last-index-counts", last_index_counts },
	{ "index-survives-other-accesses", index_survives_other_accesses },
	{ "two-cpus", two_cpus },
	{},
};
