// SPDX-License-Identifier: Apache-2.0
#include "apic.h"
#include "cpu.h"
#include "exit.h"
#include "smp.h"
#include "time.h"
#include "trap.h"

extern const char trampoline[], trampoline_end[];

u32 smp_next_cpu = 1;
static u32 arrived = 1;
static void (*ap_fn)(void);

static void cpu_setup(u32 index)
{
	struct cpu *cpu = this_cpu();

	cpu->index = index;
	cpu->fault_vector = NO_FAULT;
}

void smp_init_bsp(void)
{
	cpu_setup(0);
}

void smp_ap_entry(u32 index);
void smp_ap_entry(u32 index)
{
	cpu_setup(index);
	trap_load();
	apic_enable();
	this_cpu()->apic_id = apic_id();
	atomic_inc(&arrived);
	ap_fn();
	for (;;)
		irq_on_halt();
}

void smp_start(void (*fn)(void))
{
	ap_fn = fn;
	apic_enable();
	this_cpu()->apic_id = apic_id();
	memcpy(PTR(TRAMPOLINE), trampoline, (size_t)(trampoline_end - trampoline));
	apic_ipi(0, ICR_OTHERS | ICR_ASSERT | ICR_INIT);
	delay_us(10000);
	apic_ipi(0, ICR_OTHERS | ICR_ASSERT | ICR_STARTUP | (TRAMPOLINE >> 12));
	delay_us(200);
	apic_ipi(0, ICR_OTHERS | ICR_ASSERT | ICR_STARTUP | (TRAMPOLINE >> 12));
}

bool smp_wait(u32 n, u32 ms)
{
	return WAIT_FOR(smp_count() >= n, ms);
}

u32 smp_count(void)
{
	return READ_ONCE(arrived);
}
