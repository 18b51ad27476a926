// SPDX-License-Identifier: Apache-2.0
// Two cascaded Intel 8259A interrupt controllers with the chipset's edge/level registers (ELCR).
//
// The split irqchip's PIC: lines come in from the interrupt hub, the output goes to vCPU 0, which
// acknowledges and injects by KVM_INTERRUPT. An edge is remembered although its line falls before
// the acknowledge; a level whose line falls leaves the spurious interrupt 7, as in the data sheet.
// The slave's output is a level: masking its last request takes it back.
#ifndef VMM_PIC_H
#define VMM_PIC_H

#include "dev.h"
#include "pic_chip.h"

enum pic_region {
	PIC_MASTER, // 2 bytes at 0x20
	PIC_SLAVE, // 2 bytes at 0xa0
	PIC_ELCR, // 2 bytes at 0x4d0
};

enum {
	PIC_LINES = 16,
	PIC_STATE_VERSION = 1,
};

struct pic {
	struct dev dev;
	struct pic_chip chip[2]; // master, slave
	void (*intr)(void *opaque, int level);
	void *opaque;
	// Told of the end of a line's interrupt.
	void (*ended)(void *opaque, uint32_t line);
	void *ended_opaque;
	bool output; // the level last reported
};

struct pic_state {
	uint32_t version;
	uint8_t output; // for the reader: it follows from the rest
	uint8_t lines[2], irr[2], imr[2], isr[2], elcr[2], base[2], lowest[2], init[2];
	uint8_t icw4[2], single[2], level_mode[2], auto_eoi[2], rotate_on_auto_eoi[2];
	uint8_t special_mask[2], special_fully_nested[2], poll[2], read_isr[2];
};

struct pic *pic_create(void);
void pic_destroy(struct pic *p);
// As firmware would leave it: all masked, nothing in service, vectors from 0. The inputs keep their
// level.
void pic_reset(struct pic *p);
void pic_save(struct pic *p, struct pic_state *ret);
int pic_load(struct pic *p, const struct pic_state *state);

// intr is called with the PIC's lock held, on any thread, when the output changes: it must not call
// back.
void pic_set_intr(struct pic *p, void (*intr)(void *opaque, int level), void *opaque);
// An input, 0 to 15. Called by the hub; any thread.
void pic_set_line(struct pic *p, uint32_t line, int level);
// The line is high until its EOI, whatever its input does; or not any more. Any thread.
void pic_hold(struct pic *p, uint32_t line, bool held);
// ended is called with the PIC's lock held, on any thread: it must not call back.
void pic_set_ended(struct pic *p, void (*ended)(void *opaque, uint32_t line), void *opaque);
// Is the interrupt output high?
bool pic_output(struct pic *p);
// The acknowledge cycle. Returns the vector, 0 to 255; that of line 7 if nothing asks (any more).
int pic_ack(struct pic *p);

// Recomputes the output after the chips were replaced. Context: device lock held (pic_load()).
void pic_refresh(struct pic *p);

#endif
