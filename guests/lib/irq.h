/* SPDX-License-Identifier: Apache-2.0 */
/* Counting interrupts: most tests want to know how many came on a vector, in which order, and
 * nothing more. */
#ifndef GUEST_IRQ_H
#define GUEST_IRQ_H

#include "types.h"

#define IRQ_ORDER 32

extern u32 irq_counts[256];
extern u8 irq_order[IRQ_ORDER]; /* vectors as they came */
extern u32 irq_total;

/* Enables this CPU's APIC and shuts up the 8259 pair, which firmware may have left running: IRQ n
 * would come on vector n + 8. */
void irq_begin(void);
void irq_count_on(u8 vector); /* counts and sends EOI to the local APIC */
void irq_count_pic(u8 first,
		   u8 n); /* counts and sends EOI to the 8259 pair; vector - first is the IRQ */
void irq_reset(void);
/* Lets interrupts in until `vector` has come `n` times or `ms` are over, then shuts them out; the
 * count. */
u32 irq_wait(u8 vector, u32 n, u32 ms);
/* Lets in what is pending: enough instructions with interrupts on for every one to arrive. */
void irq_drain(void);
#endif
