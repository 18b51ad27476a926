// SPDX-License-Identifier: Apache-2.0
// IOAPIC and 8259 pair, driven by pc-testdev's GSI ports. The lines used belong to no device of any machine type.
#include "guest.h"
#include "testdev.h"

#define PIN 11
#define PIN2 10
#define VEC 0x51
#define VEC2 0x91
#define VEC_PIC 0x60
#define SLOW_MS 5000
#define STUCK 5

static u32 level_counts;
static bool lower_at_last;

static void line(u32 gsi, u8 level)
{
	outb((u16)(TESTDEV_GSI + gsi), level);
}

static void setup(void)
{
	u32 pin;

	irq_begin();
	pic_init(VEC_PIC);
	for (pin = 0; pin < 16; pin++) {
		ioapic_route(pin, IOAPIC_MASKED, 0);
		if (pin != 0 && pin != 2 && pin != 8)
			line(pin, 0);
	}
	irq_count_on(VEC);
	irq_count_on(VEC2);
}

/* A level handler that quiets its source at the STUCK-th call. */
static void on_level(struct frame *f)
{
	(void)f;
	level_counts++;
	check(apic_bit(APIC_TMR, VEC));
	check(ioapic_low(PIN) & IOAPIC_REMOTE_IRR);
	if (level_counts == STUCK && lower_at_last)
		line(PIN, 0);
	apic_eoi();
}

static void pins(void)
{
	setup();
	printf("# %u pins, version %x\n", ioapic_pins(), ioapic_read(1) & 0xff);
	check(ioapic_pins() == 24 || ioapic_pins() == 48);
	ioapic_write(0x10 + 2 * PIN, IOAPIC_MASKED | IOAPIC_LEVEL | VEC);
	check_equal(ioapic_low(PIN), IOAPIC_MASKED | IOAPIC_LEVEL | VEC);
	ioapic_write(0x11 + 2 * PIN, 0xab000000);
	check_equal(ioapic_read(0x11 + 2 * PIN) & 0xff000000, 0xab000000);
}

static void edge(void)
{
	setup();
	ioapic_route(PIN, VEC, apic_id());
	line(PIN, 1);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	irq_drain();
	check_equal(irq_counts[VEC], 1);	// the line is still high: no second one
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
	line(PIN, 0);
	line(PIN, 1);
	check_equal(irq_wait(VEC, 2, SLOW_MS), 2);
	line(PIN, 0);
}

static void edge_masked_is_lost(void)
{
	setup();
	line(PIN, 1);
	line(PIN, 0);
	ioapic_route(PIN, VEC, apic_id());
	irq_drain();
	check_equal(irq_counts[VEC], 0);
}

static void level(void)
{
	setup();
	trap_set(VEC, on_level);
	level_counts = 0;
	lower_at_last = true;
	ioapic_route(PIN, VEC | IOAPIC_LEVEL, apic_id());
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
	line(PIN, 1);
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	irq_drain();
	check_equal(level_counts, STUCK);	// again after each EOI, until the line fell
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
}

static void level_masked_stays_pending(void)
{
	setup();
	trap_set(VEC, on_level);
	level_counts = STUCK - 1;
	lower_at_last = true;
	ioapic_route(PIN, VEC | IOAPIC_LEVEL | IOAPIC_MASKED, apic_id());
	line(PIN, 1);
	irq_drain();
	check_equal(level_counts, STUCK - 1);
	ioapic_write(0x10 + 2 * PIN, VEC | IOAPIC_LEVEL);
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	check_equal(level_counts, STUCK);
}

/* Remote IRR stays set, and nothing more comes, until the EOI. */
static void remote_irr(void)
{
	setup();
	trap_set(VEC, on_level);
	level_counts = STUCK - 1;
	lower_at_last = true;
	ioapic_route(PIN, VEC | IOAPIC_LEVEL, apic_id());
	line(PIN, 1);
	check(WAIT_FOR(ioapic_low(PIN) & IOAPIC_REMOTE_IRR, SLOW_MS));	// accepted by the APIC, not yet by the CPU
	check(apic_bit(APIC_IRR, VEC));
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	check(!(ioapic_low(PIN) & IOAPIC_REMOTE_IRR));
}

static void two_pins(void)
{
	setup();
	ioapic_route(PIN, VEC, apic_id());
	ioapic_route(PIN2, VEC2, apic_id());
	line(PIN, 1);
	line(PIN2, 1);
	irq_drain();
	check_equal(irq_total, 2);
	check_equal(irq_order[0], VEC2);	// the higher vector first
	line(PIN, 0);
	line(PIN2, 0);
}

static void pic_setup(void)
{
	setup();
	irq_count_pic(VEC_PIC, 16);
	apic_write(APIC_LVT_LINT0, 0x700);	// ExtINT: virtual wire
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

static void pic_edge(void)
{
	pic_setup();
	pic_mask((u16)~(1 << 5));
	line(5, 1);
	check_equal(irq_wait(VEC_PIC + 5, 1, SLOW_MS), 1);
	irq_drain();
	check_equal(irq_counts[VEC_PIC + 5], 1);
	line(5, 0);
	line(5, 1);
	check_equal(irq_wait(VEC_PIC + 5, 2, SLOW_MS), 2);
	line(5, 0);
	pic_done();
}

static void pic_masked_stays_pending(void)
{
	pic_setup();
	line(5, 1);
	irq_drain();
	check_equal(irq_counts[VEC_PIC + 5], 0);
	check(pic_register(PIC_MASTER, 0x0a) & (1 << 5));	// IRR
	pic_mask((u16)~(1 << 5));
	check_equal(irq_wait(VEC_PIC + 5, 1, SLOW_MS), 1);
	check(!(pic_register(PIC_MASTER, 0x0b) & (1 << 5)));	// ISR, after the EOI
	line(5, 0);
	pic_done();
}

static void pic_cascade(void)
{
	pic_setup();
	pic_mask((u16)~(1 << 11 | 1 << 2));
	line(11, 1);
	check_equal(irq_wait(VEC_PIC + 11, 1, SLOW_MS), 1);
	line(11, 0);
	pic_done();
}

static void pic_priority(void)
{
	pic_setup();
	line(6, 1);
	line(5, 1);
	pic_mask((u16)~(1 << 5 | 1 << 6));
	irq_drain();
	check_equal(irq_total, 2);
	check_equal(irq_order[0], VEC_PIC + 5);
	check_equal(irq_order[1], VEC_PIC + 6);
	line(5, 0);
	line(6, 0);
	pic_done();
}

static void on_pic_level(struct frame *f)
{
	(void)f;
	if (++level_counts == STUCK)
		line(11, 0);
	pic_eoi(11);
}

static void pic_elcr_level(void)
{
	pic_setup();
	trap_set(VEC_PIC + 11, on_pic_level);
	level_counts = 0;
	outb(ELCR + 1, 1 << 3);
	check_equal(inb(ELCR + 1), 1 << 3);
	pic_mask((u16)~(1 << 11 | 1 << 2));
	line(11, 1);
	irq_on();
	WAIT_FOR(READ_ONCE(level_counts) >= STUCK, SLOW_MS);
	irq_off();
	irq_drain();
	check_equal(level_counts, STUCK);
	outb(ELCR + 1, 0);
	pic_done();
}

/* Pending while interrupts are off; STI lets it in only after the instruction that follows. */
static void pic_interrupt_window(void)
{
	u32 before, after;

	pic_setup();
	pic_mask((u16)~(1 << 5));
	line(5, 1);
	delay_us(1000);
	check_equal(READ_ONCE(irq_counts[VEC_PIC + 5]), 0);
	asm volatile("sti\n\tmov %2, %0\n\tnop\n\tmov %2, %1\n\tcli" : "=&r"(before), "=&r"(after)
		     : "m"(irq_counts[VEC_PIC + 5]) : "memory");
	check_equal(before, 0);
	check_equal(after, 1);
	line(5, 0);
	pic_done();
}

static void ioapic_interrupt_window(void)
{
	u32 before, after;

	setup();
	ioapic_route(PIN, VEC, apic_id());
	line(PIN, 1);
	delay_us(1000);
	check_equal(READ_ONCE(irq_counts[VEC]), 0);
	asm volatile("sti\n\tmov %2, %0\n\tnop\n\tmov %2, %1\n\tcli" : "=&r"(before), "=&r"(after)
		     : "m"(irq_counts[VEC]) : "memory");
	check_equal(before, 0);
	check_equal(after, 1);
	line(PIN, 0);
}

TESTS(
	{ "ioapic-pins", pins },
	{ "ioapic-edge", edge },
	{ "ioapic-edge-masked-is-lost", edge_masked_is_lost },
	{ "ioapic-level", level },
	{ "ioapic-level-masked-stays-pending", level_masked_stays_pending },
	{ "ioapic-remote-irr", remote_irr },
	{ "ioapic-two-pins", two_pins },
	{ "ioapic-interrupt-window", ioapic_interrupt_window },
	{ "pic-edge", pic_edge },
	{ "pic-masked-stays-pending", pic_masked_stays_pending },
	{ "pic-cascade", pic_cascade },
	{ "pic-priority", pic_priority },
	{ "pic-elcr-level", pic_elcr_level },
	{ "pic-interrupt-window", pic_interrupt_window },
);
