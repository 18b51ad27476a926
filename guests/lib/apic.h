/* SPDX-License-Identifier: Apache-2.0 */
/* Local APIC by MMIO or, once apic_use_x2apic() has switched this CPU, by MSR; IOAPIC; 8259 pair.
 */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include "types.h"

#define APIC_ID 0x20
#define APIC_VERSION 0x30
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ISR 0x100
#define APIC_TMR 0x180
#define APIC_IRR 0x200
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define ICR_FIXED 0x000
#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_PENDING (1u << 12)
#define ICR_ASSERT (1u << 14)
#define ICR_SELF (1u << 18)
#define ICR_ALL (2u << 18)
#define ICR_OTHERS (3u << 18)

#define LVT_MASKED (1u << 16)
#define LVT_PERIODIC (1u << 17)
#define LVT_TSC_DEADLINE (2u << 17)

#define VEC_SPURIOUS 0xff

void apic_enable(void); /* software-enables this CPU's APIC */
bool apic_use_x2apic(void); /* false if CPUID offers none */
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);
u32 apic_id(void);
void apic_eoi(void);
/* `target` is ignored with a shorthand. Waits until the APIC has taken the command. */
void apic_ipi(u32 target, u32 command);
bool apic_bit(u32 reg, unsigned int vector); /* bit of ISR, TMR or IRR */

#define IOAPIC_BASE 0xfec00000
#define IOAPIC_MASKED (1u << 16)
#define IOAPIC_LEVEL (1u << 15)
#define IOAPIC_REMOTE_IRR (1u << 14)
#define IOAPIC_LOW (1u << 13)

u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 v);
u32 ioapic_pins(void);
void ioapic_route(u32 pin, u32 low, u32 apic_id); /* low: vector and mode bits */
u32 ioapic_low(u32 pin);

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xa0
#define ELCR 0x4d0

void pic_init(u8 vector); /* IRQ 0-15 at vector..vector+15, all masked */
void pic_mask(u16 mask);
void pic_unmask(u16 lines); /* these alone */
void pic_eoi(unsigned int irq);
#endif
