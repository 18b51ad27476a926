// SPDX-License-Identifier: Apache-2.0
// A level-triggered interrupt whose source is told of by an eventfd: of a VFIO device, of a
// process.
//
// Writing `trigger_fd` makes the line high. The guest's EOI makes it low and signals `resample_fd`;
// if the source still wants service it triggers again. With the in-kernel irqchip KVM does all of
// that; with the split one the loop raises the line, and the EOI in our I/O APIC or PIC lowers it
// and signals. There is no state to save: after a load, whoever owns the source looks at it.
#ifndef VMM_INTX_H
#define VMM_INTX_H

#include "irq.h"
#include "loop.h"

struct intx {
	struct irq_hub *hub;
	struct loop *loop;
	uint32_t gsi, pic; // pic: the line of our PIC, or INTX_NO_PIC
	int trigger_fd, resample_fd;
	int connected; // 0, or why the chip does not take it (-errno)
	struct intx *next; // in the hub
	// The chip's own, while it is connected.
	void *chip;
	int handle;
	struct intx *chip_next;
};

#define INTX_NO_PIC UINT32_MAX

// loop: serves the trigger where the kernel does not. gsi: below IRQ_HUB_GSIS, else NULL; below 16
// it is the PIC's line too. pic: where a GSI above that arrives at our PIC, or INTX_NO_PIC; of the
// kernel's chips its routes tell.
struct intx *intx_create(struct irq_hub *hub, struct loop *loop, uint32_t gsi, uint32_t pic);
// The line is low as far as this source is concerned, and neither eventfd is used any more.
void intx_destroy(struct intx *x);
// 0, or the -errno with which the present chip refused it (-EOPNOTSUPP: it takes none). 0 as long
// as there is no chip.
int intx_status(struct intx *x);

// For the hub. Context: its lock held.
void intx_connect(struct intx *x);
void intx_disconnect(struct intx *x);

#endif
