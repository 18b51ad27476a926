// SPDX-License-Identifier: Apache-2.0
#include "pic_chip.h"

enum {
	// Command port: ICW1 if bit 4, else OCW3 if bit 3, else OCW2
	ICW1 = 1 << 4,
	ICW1_IC4 = 1 << 0,
	ICW1_SNGL = 1 << 1,
	ICW1_LTIM = 1 << 3,
	ICW4_AEOI = 1 << 1,
	ICW4_SFNM = 1 << 4,
	OCW3 = 1 << 3,
	OCW3_RIS = 1 << 0,
	OCW3_RR = 1 << 1,
	OCW3_POLL = 1 << 2,
	OCW3_SMM = 1 << 5,
	OCW3_ESMM = 1 << 6,
};

// OCW2's three top bits (data sheet, figure 8).
enum ocw2 {
	ROTATE_AEOI_CLEAR,
	EOI,
	OCW2_NONE,
	EOI_SPECIFIC,
	ROTATE_AEOI_SET,
	ROTATE_EOI,
	SET_PRIORITY,
	ROTATE_EOI_SPECIFIC,
};

static uint8_t bit(uint32_t line)
{
	return (uint8_t)(1u << line);
}

static uint8_t levels(const struct pic_chip *c)
{
	return c->level_mode ? 0xff : c->elcr;
}

uint8_t pic_chip_requests(const struct pic_chip *c)
{
	return (uint8_t)((c->irr & ~levels(c)) | ((c->lines | c->held) & levels(c)));
}

// How far the most urgent line of `mask` is from the top of the priority order; 8 for none.
static uint32_t rank(const struct pic_chip *c, uint8_t mask)
{
	for (uint32_t i = 0; i < 8; i++) {
		if (mask & bit((c->lowest + 1 + i) & 7))
			return i;
	}
	return 8;
}

static uint32_t line_at(const struct pic_chip *c, uint32_t rank)
{
	return (c->lowest + 1 + rank) & 7;
}

// The line that asks the processor now, or -1. extra: requests besides the chip's own inputs.
int pic_chip_asking(const struct pic_chip *c, uint8_t extra, uint8_t not_nested)
{
	uint32_t wanted = rank(c, (pic_chip_requests(c) | extra) & (uint8_t)~c->imr);
	uint8_t serving = c->isr & (uint8_t)~not_nested;

	if (c->special_mask)
		serving &= (uint8_t)~c->imr;
	return wanted < rank(c, serving) ? (int)line_at(c, wanted) : -1;
}

void pic_chip_acknowledge(struct pic_chip *c, uint32_t line)
{
	c->irr &= (uint8_t)~bit(line);
	if (!c->auto_eoi)
		c->isr |= bit(line);
	else if (c->rotate_on_auto_eoi)
		c->lowest = (uint8_t)line;
}

void pic_chip_icw1(struct pic_chip *c, uint8_t value)
{
	c->irr = c->imr = c->isr = 0;
	c->lowest = 7;
	c->init = 2;
	c->icw4 = value & ICW1_IC4;
	c->single = value & ICW1_SNGL;
	c->level_mode = value & ICW1_LTIM;
	c->auto_eoi = c->special_fully_nested = false;
	c->special_mask = c->poll = c->read_isr = c->rotate_on_auto_eoi = false;
}

static void end_of_interrupt(struct pic_chip *c, uint32_t line, bool rotate)
{
	c->isr &= (uint8_t)~bit(line);
	if (rotate)
		c->lowest = (uint8_t)line;
}

static void ocw2(struct pic_chip *c, uint8_t value)
{
	uint8_t serving = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
	uint32_t top = rank(c, serving), line = value & 7;

	switch ((enum ocw2)(value >> 5)) {
	case ROTATE_AEOI_CLEAR:
		c->rotate_on_auto_eoi = false;
		break;
	case ROTATE_AEOI_SET:
		c->rotate_on_auto_eoi = true;
		break;
	case EOI:
	case ROTATE_EOI:
		if (top < 8)
			end_of_interrupt(c, line_at(c, top), value >> 5 == ROTATE_EOI);
		break;
	case EOI_SPECIFIC:
	case ROTATE_EOI_SPECIFIC:
		end_of_interrupt(c, line, value >> 5 == ROTATE_EOI_SPECIFIC);
		break;
	case SET_PRIORITY:
		c->lowest = (uint8_t)line;
		break;
	case OCW2_NONE:
		break;
	}
}

static void ocw3(struct pic_chip *c, uint8_t value)
{
	c->poll = value & OCW3_POLL;
	if (value & OCW3_RR)
		c->read_isr = value & OCW3_RIS;
	if (value & OCW3_ESMM)
		c->special_mask = value & OCW3_SMM;
}

void pic_chip_data(struct pic_chip *c, uint8_t value)
{
	switch (c->init) {
	case 0:
		c->imr = value;
		return;
	case 2:
		c->base = value & 0xf8;
		c->init = c->single ? 4 : 3;
		break;
	case 3: // ICW3: which line the cascade uses is fixed by the wiring
		c->init = 4;
		break;
	case 4:
		c->auto_eoi = value & ICW4_AEOI;
		c->special_fully_nested = value & ICW4_SFNM;
		c->init = 0;
		return;
	}
	if (c->init == 4 && !c->icw4)
		c->init = 0;
}

void pic_chip_command(struct pic_chip *c, uint8_t value)
{
	if (value & ICW1)
		pic_chip_icw1(c, value);
	else if (value & OCW3)
		ocw3(c, value);
	else
		ocw2(c, value);
}
