// SPDX-License-Identifier: Apache-2.0
// Inside the I/O APIC: shared by ioapic.c (registers, pins) and ioapic_life.c only. All with the
// chip's lock held.
#ifndef VMM_IOAPIC_IMPL_H
#define VMM_IOAPIC_IMPL_H

#include "ioapic.h"

#define ID_MASK 0x0f000000u
#define RTE_READ_ONLY (IOAPIC_RTE_PENDING | IOAPIC_RTE_REMOTE_IRR)
#define RTE_DEFINED (0xffull << IOAPIC_RTE_DEST_SHIFT | 0x1ffffull)

extern const struct dev_ops ioapic_ops;

// Has a LAPIC taken the pin's level interrupt and not ended it yet?
static inline bool ioapic_awaits_eoi(const struct ioapic *a, uint32_t pin)
{
	return a->rte[pin] & IOAPIC_RTE_REMOTE_IRR;
}

struct ioapic_route ioapic_route_of(const struct ioapic *a, uint32_t pin);
// Brings the router's entry for the pin up to date.
void ioapic_publish(struct ioapic *a, uint32_t pin);
// The end of the pin's level interrupt: it is held no longer; sends again if the line is still
// high.
void ioapic_end(struct ioapic *a, uint32_t pin);

#endif
