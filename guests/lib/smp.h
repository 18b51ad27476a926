/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs. A struct cpu sits at the low end of its CPU's stack page, so finding it needs neither MSR
 * nor segment. */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "boot.h"
#include "types.h"

struct cpu {
	u32 index; /* 0 is the BSP, then order of arrival */
	u32 apic_id;
	u32 fault_vector;
	u32 spurious; /* interrupts nobody asked for */
	u64 fault_error;
	u64 scratch[4]; /* for the guest at hand */
};

extern char stacks[];
extern u32 smp_next_cpu; /* CPUs that ever left the trampoline, BSP included */

static inline struct cpu *this_cpu(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return PTR(sp & ~(u64)(STACK_SIZE - 1));
}

static inline struct cpu *cpu_at(u32 index)
{
	return (struct cpu *)(stacks + (u64)index * STACK_SIZE);
}

void smp_init_bsp(void);
/* INIT, SIPI, SIPI to all others. Each AP runs `fn` with its APIC enabled and interrupts off, then
 * sleeps for good. */
void smp_start(void (*fn)(void));
/* Waits until `n` CPUs (BSP included) have arrived in `fn`; false after `ms`. */
bool smp_wait(u32 n, u32 ms);
u32 smp_count(void);
#endif
