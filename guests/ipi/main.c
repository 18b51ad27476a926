// SPDX-License-Identifier: Apache-2.0
// Interprocessor interrupts and the local APIC's priorities. Two CPUs or more. Command line:
// cpus=N, x2apic.
#include "guest.h"

#define VEC_LOW 0x45
#define VEC_HIGH 0x85
#define VEC_AP 0x55
#define SLOW_MS 10000

static u32 ap_ready, ap_got, nmis;
static u32 ap_id;

static void on_ap(struct frame *f)
{
	(void)f;
	apic_eoi();
	atomic_inc(&ap_got);
}

static void on_nmi(struct frame *f)
{
	(void)f;
	atomic_inc(&nmis);
}

static void ap_main(void)
{
	if (this_cpu()->index == 1)
		ap_id = this_cpu()->apic_id;
	atomic_inc(&ap_ready);
}

static void start(void)
{
	u32 cpus = (u32)arg_u64("cpus", 2);

	if (arg_flag("x2apic"))
		check(apic_use_x2apic());
	irq_begin();
	trap_set(VEC_AP, on_ap);
	trap_set(2, on_nmi);
	irq_count_on(VEC_LOW);
	irq_count_on(VEC_HIGH);
	smp_start(ap_main);
	check(WAIT_FOR(READ_ONCE(ap_ready) == cpus - 1, SLOW_MS));
}

static void self_shorthand(void)
{
	irq_reset();
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_LOW);
	check_equal(irq_counts[VEC_LOW], 0); // interrupts are off
	check(apic_bit(APIC_IRR, VEC_LOW));
	check_equal(irq_wait(VEC_LOW, 1, SLOW_MS), 1);
	check(!apic_bit(APIC_IRR, VEC_LOW) && !apic_bit(APIC_ISR, VEC_LOW));
}

static void self_by_id(void)
{
	irq_reset();
	apic_ipi(apic_id(), ICR_ASSERT | VEC_LOW);
	check_equal(irq_wait(VEC_LOW, 1, SLOW_MS), 1);
}

static void priorities(void)
{
	irq_reset();
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_LOW);
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_HIGH);
	check_equal(irq_wait(VEC_LOW, 1, SLOW_MS), 1); // the second one
	check_equal(irq_total, 2);
	check_equal(irq_order[0], VEC_HIGH);
	check_equal(irq_order[1], VEC_LOW);
}

static void task_priority(void)
{
	irq_reset();
	apic_write(APIC_TPR, 0x50);
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_LOW);
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_HIGH);
	check_equal(irq_wait(VEC_HIGH, 1, SLOW_MS), 1);
	irq_drain();
	check_equal(irq_counts[VEC_LOW], 0);
	apic_write(APIC_TPR, 0);
	check_equal(irq_wait(VEC_LOW, 1, SLOW_MS), 1);
}

static void same_vector_merges(void)
{
	irq_reset();
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_LOW);
	apic_ipi(0, ICR_SELF | ICR_ASSERT | VEC_LOW);
	check_equal(irq_wait(VEC_LOW, 1, SLOW_MS), 1);
	irq_drain();
	check_equal(irq_counts[VEC_LOW], 1);
}

static void wakes_halted_cpu(void)
{
	u32 i;

	ap_got = 0;
	for (i = 1; i <= 20; i++) {
		apic_ipi(ap_id, ICR_ASSERT | VEC_AP);
		if (!WAIT_FOR(READ_ONCE(ap_got) == i, SLOW_MS))
			break;
	}
	check_equal(READ_ONCE(ap_got), 20);
}

static void nmi(void)
{
	nmis = 0;
	apic_ipi(ap_id, ICR_ASSERT | ICR_NMI);
	check(WAIT_FOR(READ_ONCE(nmis) == 1, SLOW_MS));
}

static void all_including_self(void)
{
	u32 cpus = (u32)arg_u64("cpus", 2);

	ap_got = 0;
	apic_ipi(0, ICR_ALL | ICR_ASSERT | VEC_AP);
	irq_on();
	check(WAIT_FOR(READ_ONCE(ap_got) == cpus, SLOW_MS));
	irq_off();
}

/* Flat logical destinations exist only in xAPIC mode; each CPU is one bit. */
static void logical(void)
{
	if (arg_flag("x2apic"))
		return;
	apic_write(0xe0, 0xffffffff); // DFR: flat
	apic_write(0xd0, 1u << 24); // LDR
	irq_reset();
	apic_ipi(1, ICR_ASSERT | 1 << 11 | VEC_LOW);
	check_equal(irq_wait(VEC_LOW, 1, SLOW_MS), 1);
}

const struct test tests[] = {
	{ "start", start },
	{ "self-shorthand", self_shorthand },
	{ "self-by-id", self_by_id },
	{ "priorities", priorities },
	{ "task-priority", task_priority },
	{ "same-vector-merges", same_vector_merges },
	{ "wakes-halted-cpu", wakes_halted_cpu },
	{ "nmi", nmi },
	{ "all-including-self", all_including_self },
	{ "logical", logical },
	{},
};
