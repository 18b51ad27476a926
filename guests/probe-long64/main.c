// SPDX-License-Identifier: Apache-2.0
/*
 * Can this KVM run interrupt handlers in long mode? A step that cannot be done may end the machine:
 * the last line says which
 * ("trace" on the command line). Needs an irqchip.
 */
#include "guest.h"

#define VEC 0x71
#define DIVIDE_BY_1 0xb
#define NOT_MAPPED 0x4000000000ull
#define SLOW_MS 2000

static u32 hits;

static void on_breakpoint(struct frame *f)
{
	(void)f;
	hits++;
}

static void invalid_opcode(void)
{
	fault_clear();
	asm volatile(FAULTABLE("ud2"));
	check_equal(fault_taken(), VEC_UD);
}

/* Kernels patch themselves with it and build their debuggers on it. */
static void breakpoint(void)
{
	hits = 0;
	trap_set(VEC_BP, on_breakpoint);
	asm volatile("int3");
	check_equal(READ_ONCE(hits), 1);
}

static void page_fault(void)
{
	u64 v;

	fault_clear();
	asm volatile(FAULTABLE("mov (%1), %0") : "=r"(v) : "r"(NOT_MAPPED) : "memory");
	check_equal(fault_taken(), VEC_PF);
	check_equal(READ_CR(2), NOT_MAPPED);
}

static void interrupt(void)
{
	irq_begin();
	irq_count_on(VEC);
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
}

static void interrupt_at_once(void)
{
	u32 after;

	irq_reset();
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC);
	asm volatile("sti\n\tnop\n\tmov %1, %0\n\tcli"
		     : "=r"(after)
		     : "m"(irq_counts[VEC])
		     : "memory");
	check_equal(after, 1);
	irq_drain();
}

static void timer(void)
{
	irq_reset();
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VEC);
	apic_write(APIC_TIMER_INITIAL, 100000);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
}

static void halt_wakes(void)
{
	irq_reset();
	apic_write(APIC_LVT_TIMER, VEC);
	apic_write(APIC_TIMER_INITIAL, 3000000);
	irq_on_halt();
	irq_off();
	check_equal(irq_counts[VEC], 1);
}

static void on_nmi(struct frame *f)
{
	(void)f;
	hits++;
}

static void nmi(void)
{
	hits = 0;
	trap_set(2, on_nmi);
	apic_ipi(apic_id(), ICR_ASSERT | ICR_NMI);
	check(WAIT_FOR(READ_ONCE(hits) >= 1, SLOW_MS));
}

const struct test tests[] = {
	{ "invalid-opcode", invalid_opcode },
	{ "page-fault", page_fault },
	{ "interrupt", interrupt },
	{ "interrupt-at-once", interrupt_at_once },
	{ "timer", timer },
	{ "halt-wakes", halt_wakes },
	{ "nmi", nmi },
	{ "breakpoint", breakpoint },
	{},
};
