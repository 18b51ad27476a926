// SPDX-License-Identifier: Apache-2.0
// One Intel 8259A: priorities, masks, command words. Its inputs, lock and partner are in pic.h.
#ifndef VMM_PIC_CHIP_H
#define VMM_PIC_CHIP_H

#include "base.h"

// One 8259A. Bit n of every mask is line n.
struct pic_chip {
	uint8_t lines; // present level of the inputs
	uint8_t held; // inputs that are high until their EOI as well
	uint8_t irr; // edges waiting; levels are in `lines`
	uint8_t imr, isr;
	uint8_t elcr; // 1: level triggered
	uint8_t elcr_mask; // which bits of elcr the guest can set
	uint8_t base; // vector of line 0
	uint8_t lowest; // line with the lowest priority; the next one has the highest
	uint8_t init; // which ICW the data port expects next: 2 to 4, 0 outside initialization
	bool icw4; // ICW1 announced it
	bool single; // ICW1: no cascade
	bool level_mode; // ICW1: LTIM
	bool auto_eoi;
	bool rotate_on_auto_eoi;
	bool special_mask;
	bool special_fully_nested;
	bool poll;
	bool read_isr;
};

// Inputs that ask, masked or not.
uint8_t pic_chip_requests(const struct pic_chip *c);
// The line that asks the processor now, or -1. extra: requests besides the chip's own inputs;
// not_nested: lines whose being in service holds nothing back.
int pic_chip_asking(const struct pic_chip *c, uint8_t extra, uint8_t not_nested);
// The acknowledge cycle for `line`.
void pic_chip_acknowledge(struct pic_chip *c, uint32_t line);
void pic_chip_icw1(struct pic_chip *c, uint8_t value);
// Writes to the command and to the data port.
void pic_chip_command(struct pic_chip *c, uint8_t value);
void pic_chip_data(struct pic_chip *c, uint8_t value);

#endif
