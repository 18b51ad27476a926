// SPDX-License-Identifier: Apache-2.0
// Interrupt lines from C devices to whichever irqchip the machine has.
//
// A device owns one `struct irq_line` per output and sets it high or low; the hub ORs the lines
// that share a GSI and tells the chip about changes only. Lock order: device, hub, chip.
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include "base.h"

#define IRQ_HUB_GSIS 48

struct intx;

// The chip behind the hub: the in-kernel one (KVM_IRQ_LINE) or the split one (pic.h + ioapic.h).
// set() is called with the hub's lock held, on any thread, for changes of level only.
struct irq_sink {
	void (*set)(void *chip, uint32_t gsi, int level);
	void *chip;
	// Optional, together, with the hub's lock held: pins that are driven by an eventfd
	// (intx.h). connect() returns 0 or -errno.
	int (*connect)(void *chip, struct intx *x);
	void (*disconnect)(void *chip, struct intx *x);
};

struct irq_hub {
	pthread_mutex_t lock;
	struct irq_sink sink;
	struct intx *intx; // all of them, also when the chip cannot connect any
	uint16_t high[IRQ_HUB_GSIS]; // how many lines hold each GSI high
	_Atomic uint64_t raised[IRQ_HUB_GSIS]; // rising edges, for statistics
};

struct irq_line {
	struct irq_hub *hub; // NULL: not connected, setting it does nothing
	uint32_t gsi;
	uint32_t level;
};

struct irq_hub *irq_hub_create(void);
void irq_hub_destroy(struct irq_hub *h);
void irq_hub_set_sink(struct irq_hub *h, struct irq_sink sink);
// The in-kernel irqchip of the VM as the hub's sink.
void irq_hub_use_kernel(struct irq_hub *h, int vm_fd);

void irq_line_init(struct irq_line *l, struct irq_hub *h, uint32_t gsi);
// level: 0 or 1. The caller holds its device's lock.
void irq_line_set(struct irq_line *l, int level);
// Low and forgotten by the hub.
static inline void irq_line_deinit(struct irq_line *l)
{
	irq_line_set(l, 0);
	l->hub = NULL;
}

#endif
