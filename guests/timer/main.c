// SPDX-License-Identifier: Apache-2.0
// The clocks that interrupt: local APIC timer, TSC deadline, 8254 through 8259 and IOAPIC. Command
// line: x2apic.
#include "guest.h"

#define VEC_TIMER 0x41
#define VEC_PIN0 0x42
#define VEC_PIN2 0x43
#define VEC_PIC 0x60
#define PIT_HZ 1193182
#define DIVIDE_BY_1 0xb
#define SLOW_MS 5000

static void pit_set(u8 channel, u8 mode, u16 count)
{
	outb(0x43, (u8)(channel << 6 | 3 << 4 | mode << 1));
	outb(0x40 + channel, (u8)count);
	outb(0x40 + channel, (u8)(count >> 8));
}

static u16 pit_latched(u8 channel)
{
	u8 low;

	outb(0x43, (u8)(channel << 6));
	low = inb(0x40 + channel);
	return (u16)(low | inb(0x40 + channel) << 8);
}

static void setup(void)
{
	if (arg_flag("x2apic"))
		check(apic_use_x2apic());
	irq_begin();
	pic_init(VEC_PIC);
	irq_count_on(VEC_TIMER);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
}

static void lapic_oneshot(void)
{
	setup();
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	apic_write(APIC_TIMER_INITIAL, 100000);
	check(apic_read(APIC_TIMER_CURRENT) <= 100000);
	check_equal(irq_wait(VEC_TIMER, 1, SLOW_MS), 1);
	check_equal(apic_read(APIC_TIMER_CURRENT), 0);
	check_equal(irq_wait(VEC_TIMER, 2, 20), 1); // once
}

static void lapic_periodic(void)
{
	setup();
	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_PERIODIC);
	apic_write(APIC_TIMER_INITIAL, 1000000);
	check(irq_wait(VEC_TIMER, 5, SLOW_MS) >= 5);
	apic_write(APIC_TIMER_INITIAL, 0); // stops it
	irq_drain();
	irq_reset();
	check_equal(irq_wait(VEC_TIMER, 1, 20), 0);
}

static void lapic_masked(void)
{
	setup();
	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_MASKED);
	apic_write(APIC_TIMER_INITIAL, 10000);
	check(WAIT_FOR(apic_read(APIC_TIMER_CURRENT) == 0, SLOW_MS));
	check_equal(irq_wait(VEC_TIMER, 1, 20), 0);
	// KVM may remember what expired while masked: not for the next test to find
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	irq_drain();
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void lapic_halted(void)
{
	u64 end = deadline_ms(SLOW_MS);

	setup();
	apic_write(APIC_LVT_TIMER, VEC_TIMER);
	apic_write(APIC_TIMER_INITIAL, 1000000);
	while (!READ_ONCE(irq_counts[VEC_TIMER]) && rdtsc() < end)
		irq_on_halt();
	irq_off();
	check_equal(irq_counts[VEC_TIMER], 1);
}

static void tsc_deadline(void)
{
	u64 then;

	setup();
	if (!(cpuid(1, 0).ecx & CPUID1_ECX_TSC_DEADLINE)) {
		printf("# CPUID offers none\n");
		return;
	}
	apic_write(APIC_LVT_TIMER, VEC_TIMER | LVT_TSC_DEADLINE);
	asm volatile("mfence" ::: "memory");
	then = rdtsc() + tsc_khz() * 5;
	wrmsr(MSR_TSC_DEADLINE, then);
	check_equal(irq_wait(VEC_TIMER, 1, SLOW_MS), 1);
	check(rdtsc() >= then);
	check_equal(rdmsr(MSR_TSC_DEADLINE), 0);
	wrmsr(MSR_TSC_DEADLINE, 1); // long past: at once
	check_equal(irq_wait(VEC_TIMER, 2, SLOW_MS), 2);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_khz() * 50);
	wrmsr(MSR_TSC_DEADLINE, 0); // disarmed
	check_equal(irq_wait(VEC_TIMER, 3, 80), 2);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void pit_counts_down(void)
{
	u16 a, b;

	setup();
	pit_set(0, 2, 0xffff);
	delay_us(200);
	a = pit_latched(0);
	delay_us(2000);
	b = pit_latched(0);
	printf("# %u, 2 ms later %u\n", a, b);
	check(a != b);
}

static void pit_readback(void)
{
	setup();
	pit_set(2, 3, 0x1234);
	outb(0x43, 0xe8); // read-back: status of channel 2
	check_equal(inb(0x42) & 0x3f, 3 << 4 | 3 << 1);
}

/* Channel 2 behind port 0x61: gate in bit 0, output in bit 5; what old kernels calibrate by. */
static void pit_gate(void)
{
	u64 start, ticks;

	setup();
	outb(0x61, (inb(0x61) & ~2) | 1);
	pit_set(2, 0, PIT_HZ / 100); // mode 0: output rises after 10 ms
	start = rdtsc();
	check(!(inb(0x61) & 0x20));
	check(WAIT_FOR(inb(0x61) & 0x20, SLOW_MS));
	ticks = rdtsc() - start;
	printf("# 10 ms took %lu ticks, TSC %lu kHz\n", ticks, tsc_khz());
	check(ticks >= tsc_khz() * 9);
	outb(0x61, inb(0x61) & ~1);
}

static void pit_by_pic(void)
{
	setup();
	irq_count_pic(VEC_PIC, 16);
	apic_write(APIC_LVT_LINT0, 0x700); // ExtINT
	pit_set(0, 2, PIT_HZ / 200);
	pic_unmask(1);
	check(irq_wait(VEC_PIC, 3, SLOW_MS) >= 3);
	pic_mask(0xffff);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
}

/* IRQ 0 sits at pin 2 on PCs with an interrupt source override, at pin 0 without. */
static void pit_by_ioapic(void)
{
	const struct acpi_madt *madt;
	u32 pin0, pin2;

	setup();
	irq_count_on(VEC_PIN0);
	irq_count_on(VEC_PIN2);
	ioapic_route(0, VEC_PIN0, apic_id());
	ioapic_route(2, VEC_PIN2, apic_id());
	pit_set(0, 2, PIT_HZ / 200);
	irq_on();
	WAIT_FOR(READ_ONCE(irq_counts[VEC_PIN0]) + READ_ONCE(irq_counts[VEC_PIN2]) >= 3, SLOW_MS);
	irq_off();
	pin0 = irq_counts[VEC_PIN0];
	pin2 = irq_counts[VEC_PIN2];
	printf("# pin 0: %u, pin 2: %u\n", pin0, pin2);
	check((pin0 >= 3) != (pin2 >= 3));
	madt = PTR(acpi_find("APIC"));
	if (madt && (madt->flags & MADT_PCAT_COMPAT))
		check_equal(acpi_irq_to_gsi(0), pin2 >= 3 ? 2 : 0);
	ioapic_route(0, IOAPIC_MASKED, 0);
	ioapic_route(2, IOAPIC_MASKED, 0);
}

static void pit_oneshot(void)
{
	setup();
	irq_count_on(VEC_PIN0);
	ioapic_route(0, VEC_PIN0, apic_id());
	ioapic_route(2, VEC_PIN0, apic_id());
	pit_set(0, 0, 0xffff); // ends what ran before; a tick of it may still be on its way
	irq_drain();
	irq_reset();
	pit_set(0, 0, 1000); // mode 0: one rising edge
	check_equal(irq_wait(VEC_PIN0, 1, SLOW_MS), 1);
	check_equal(irq_wait(VEC_PIN0, 2, 20), 1);
	ioapic_route(0, IOAPIC_MASKED, 0);
	ioapic_route(2, IOAPIC_MASKED, 0);
}

const struct test tests[] = {
	{ "lapic-oneshot", lapic_oneshot }, { "lapic-periodic", lapic_periodic },
	{ "lapic-masked", lapic_masked },   { "lapic-halted", lapic_halted },
	{ "tsc-deadline", tsc_deadline },   { "pit-counts-down", pit_counts_down },
	{ "pit-readback", pit_readback },   { "pit-gate", pit_gate },
	{ "pit-by-pic", pit_by_pic },	    { "pit-by-ioapic", pit_by_ioapic },
	{ "pit-oneshot", pit_oneshot },	    {},
};
