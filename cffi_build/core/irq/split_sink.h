// SPDX-License-Identifier: Apache-2.0
// The split irqchip as the interrupt hub's sink, and its way out through KVM.
//
// GSIs 0 to 15 drive the PIC and the I/O APIC alike; GSI 0, the timer, is I/O APIC pin 2 and its
// pin 0 is unused, as every PC is wired and the MADT's override says. GSI 2, the PIC's cascade,
// goes nowhere.
#ifndef VMM_SPLIT_SINK_H
#define VMM_SPLIT_SINK_H

#include "intx.h"
#include "ioapic.h"
#include "pic.h"

struct split_sink {
	struct pic *pic;
	struct ioapic *ioapic;
	// Guards the list, which the chips' EOIs look at: a leaf, taken under theirs.
	struct lock lock;
	struct intx *intx; // connected
};

struct split_sink *split_sink_create(struct pic *pic, struct ioapic *ioapic);
// The hub must have got another sink before.
void split_sink_destroy(struct split_sink *s);
void split_sink_attach(struct split_sink *s, struct irq_hub *hub);
void split_sink_detach(struct split_sink *s, struct irq_hub *hub);

#endif
