// SPDX-License-Identifier: Apache-2.0
// The 8259 pair's side, wired to LINT0 as ExtINT.
#include "tests.h"

static u32 level_counts;

static void pic_setup(void)
{
	lines_quiet();
	irq_count_pic(VEC_PIC, 16);
	apic_write(APIC_LVT_LINT0, 0x700); // ExtINT: virtual wire
	outb(ELCR, 0);
	outb(ELCR + 1, 0);
}

static void pic_done(void)
{
	pic_mask(0xffff);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
}

static u8 pic_register(u16 port, u8 which)
{
	outb(port, which);
	return inb(port);
}

void pic_edge(void)
{
	pic_setup();
	pic_unmask(1 << 5);
	line_set(5, 1);
	check_equal(irq_wait(VEC_PIC + 5, 1, SLOW_MS), 1);
	irq_drain();
	check_equal(irq_counts[VEC_PIC + 5], 1);
	line_set(5, 0);
	line_set(5, 1);
	check_equal(irq_wait(VEC_PIC + 5, 2, SLOW_MS), 2);
	line_set(5, 0);
	pic_done();
}

void pic_masked_stays_pending(void)
{
	pic_setup();
	line_set(5, 1);
	irq_drain();
	check_equal(irq_counts[VEC_PIC + 5], 0);
	check(pic_register(PIC_MASTER, 0x0a) & (1 << 5)); // IRR
	pic_unmask(1 << 5);
	check_equal(irq_wait(VEC_PIC + 5, 1, SLOW_MS), 1);
	check(!(pic_register(PIC_MASTER, 0x0b) & (1 << 5))); // ISR, after the EOI
	line_set(5, 0);
	pic_done();
}

void pic_cascade(void)
{
	pic_setup();
	pic_unmask(1 << 11 | 1 << 2);
	line_set(11, 1);
	check_equal(irq_wait(VEC_PIC + 11, 1, SLOW_MS), 1);
	line_set(11, 0);
	pic_done();
}

void pic_priority(void)
{
	pic_setup();
	line_set(6, 1);
	line_set(5, 1);
	pic_unmask(1 << 5 | 1 << 6);
	irq_drain();
	check_equal(irq_total, 2);
	check_equal(irq_order[0], VEC_PIC + 5);
	check_equal(irq_order[1], VEC_PIC + 6);
	line_set(5, 0);
	line_set(6, 0);
	pic_done();
}

static void on_pic_level(struct frame *f)
{
	(void)f;
	if (++level_counts == STUCK)
		line_set(11, 0);
	pic_eoi(11);
}

void pic_elcr_level(void)
{
	pic_setup();
	trap_set(VEC_PIC + 11, on_pic_level);
	level_counts = 0;
	outb(ELCR + 1, 1 << 3);
	check_equal(inb(ELCR + 1), 1 << 3);
	pic_unmask(1 << 11 | 1 << 2);
	line_set(11, 1);
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	irq_drain();
	check_equal(level_counts, STUCK);
	outb(ELCR + 1, 0);
	pic_done();
}

/* Pending while interrupts are off; STI lets it in only after the instruction that follows. */
void pic_interrupt_window(void)
{
	u32 before, after;

	pic_setup();
	pic_unmask(1 << 5);
	line_set(5, 1);
	delay_us(1000);
	check_equal(READ_ONCE(irq_counts[VEC_PIC + 5]), 0);
	asm volatile("sti\n\tmov %2, %0\n\tnop\n\tmov %2, %1\n\tcli"
		     : "=&r"(before), "=&r"(after)
		     : "m"(irq_counts[VEC_PIC + 5])
		     : "memory");
	check_equal(before, 0);
	check_equal(after, 1);
	line_set(5, 0);
	pic_done();
}
