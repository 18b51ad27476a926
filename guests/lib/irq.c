// SPDX-License-Identifier: Apache-2.0
#include "apic.h"
#include "cpu.h"
#include "irq.h"
#include "time.h"
#include "trap.h"

u32 irq_counts[256], irq_total;
u8 irq_order[IRQ_ORDER];
static u8 pic_first;

#define PIC_VECTOR 0x20
#define PORT_POST 0x80
// Where guest kernel mode is emulated, a pending interrupt is not looked for at every instruction,
// and a busy host may let a delay pass without running one: each round leaves the guest once, too.
#define DRAIN_ROUNDS 10
#define DRAIN_ROUND_US 300

static void note(u64 vector)
{
	u32 at = __atomic_fetch_add(&irq_total, 1, __ATOMIC_SEQ_CST);

	if (at < IRQ_ORDER)
		irq_order[at] = (u8)vector;
	atomic_inc(&irq_counts[vector]);
}

static void on_apic(struct frame *f)
{
	note(f->vector);
	apic_eoi();
}

static void on_pic(struct frame *f)
{
	note(f->vector);
	pic_eoi((unsigned int)(f->vector - pic_first));
}

void irq_begin(void)
{
	apic_enable();
	pic_init(PIC_VECTOR);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	irq_reset();
}

void irq_count_on(u8 vector)
{
	trap_set(vector, on_apic);
}

void irq_count_pic(u8 first, u8 n)
{
	u8 i;

	pic_first = first;
	for (i = 0; i < n; i++)
		trap_set(first + i, on_pic);
}

void irq_reset(void)
{
	memset(irq_counts, 0, sizeof(irq_counts));
	irq_total = 0;
}

u32 irq_wait(u8 vector, u32 n, u32 ms)
{
	irq_on();
	WAIT_FOR(READ_ONCE(irq_counts[vector]) >= n, ms);
	irq_off();
	return READ_ONCE(irq_counts[vector]);
}

void irq_drain(void)
{
	irq_on();
	for (u32 i = 0; i < DRAIN_ROUNDS; i++) {
		inb(PORT_POST);
		delay_us(DRAIN_ROUND_US);
	}
	irq_off();
}
