// SPDX-License-Identifier: Apache-2.0
// The IOAPIC's side.
#include "tests.h"

#define PIN 11
#define PIN2 10
#define VEC 0x51
#define VEC2 0x91

static u32 level_counts;
static bool lower_at_last;

/* A level handler that quiets its source at the STUCK-th call. */
static void on_level(struct frame *f)
{
	(void)f;
	level_counts++;
	check(apic_bit(APIC_TMR, VEC));
	check(ioapic_low(PIN) & IOAPIC_REMOTE_IRR);
	if (level_counts == STUCK && lower_at_last)
		line_set(PIN, 0);
	apic_eoi();
}

void ioapic_pins_hold(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	printf("# %u pins, version %x\n", ioapic_pins(), ioapic_read(1) & 0xff);
	check(ioapic_pins() == 24 || ioapic_pins() == 48);
	ioapic_write(0x10 + 2 * PIN, IOAPIC_MASKED | IOAPIC_LEVEL | VEC);
	check_equal(ioapic_low(PIN), IOAPIC_MASKED | IOAPIC_LEVEL | VEC);
	ioapic_write(0x11 + 2 * PIN, 0xab000000);
	check_equal(ioapic_read(0x11 + 2 * PIN) & 0xff000000, 0xab000000);
}

void ioapic_edge(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	ioapic_route(PIN, VEC, apic_id());
	line_set(PIN, 1);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	irq_drain();
	check_equal(irq_counts[VEC], 1); // the line is still high: no second one
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
	line_set(PIN, 0);
	line_set(PIN, 1);
	check_equal(irq_wait(VEC, 2, SLOW_MS), 2);
	line_set(PIN, 0);
}

void ioapic_edge_masked_is_lost(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	line_set(PIN, 1);
	line_set(PIN, 0);
	ioapic_route(PIN, VEC, apic_id());
	irq_drain();
	check_equal(irq_counts[VEC], 0);
}

void ioapic_level(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	trap_set(VEC, on_level);
	level_counts = 0;
	lower_at_last = true;
	ioapic_route(PIN, VEC | IOAPIC_LEVEL, apic_id());
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
	line_set(PIN, 1);
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	irq_drain();
	check_equal(level_counts, STUCK); // again after each EOI, until the line fell
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
}

void ioapic_level_masked_stays_pending(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	trap_set(VEC, on_level);
	level_counts = STUCK - 1;
	lower_at_last = true;
	ioapic_route(PIN, VEC | IOAPIC_LEVEL | IOAPIC_MASKED, apic_id());
	line_set(PIN, 1);
	irq_drain();
	check_equal(level_counts, STUCK - 1);
	ioapic_write(0x10 + 2 * PIN, VEC | IOAPIC_LEVEL);
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	check_equal(level_counts, STUCK);
}

/* Remote IRR stays set, and nothing more comes, until the EOI. */
void ioapic_remote_irr(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	trap_set(VEC, on_level);
	level_counts = STUCK - 1;
	lower_at_last = true;
	ioapic_route(PIN, VEC | IOAPIC_LEVEL, apic_id());
	line_set(PIN, 1);
	// accepted by the APIC, not yet by the CPU
	check(WAIT_FOR(ioapic_low(PIN) & IOAPIC_REMOTE_IRR, SLOW_MS));
	check(apic_bit(APIC_IRR, VEC));
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
}

void ioapic_two_pins(void)
{
	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	ioapic_route(PIN, VEC, apic_id());
	ioapic_route(PIN2, VEC2, apic_id());
	line_set(PIN, 1);
	line_set(PIN2, 1);
	irq_drain();
	check_equal(irq_total, 2);
	check_equal(irq_order[0], VEC2); // the higher vector first
	line_set(PIN, 0);
	line_set(PIN2, 0);
}

void ioapic_interrupt_window(void)
{
	u32 before, after;

	lines_quiet();
	irq_count_on(VEC);
	irq_count_on(VEC2);
	ioapic_route(PIN, VEC, apic_id());
	line_set(PIN, 1);
	delay_us(1000);
	check_equal(READ_ONCE(irq_counts[VEC]), 0);
	asm volatile("sti\n\tmov %2, %0\n\tnop\n\tmov %2, %1\n\tcli"
		     : "=&r"(before), "=&r"(after)
		     : "m"(irq_counts[VEC])
		     : "memory");
	check_equal(before, 0);
	check_equal(after, 1);
	line_set(PIN, 0);
}
