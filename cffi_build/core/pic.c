// SPDX-License-Identifier: Apache-2.0
#include "pic.h"

#include <stdlib.h>

enum {
	CASCADE = 2, // the slave's line at the master
	SPURIOUS = 7,
	ELCR_MASTER = 0xf8, // lines 0 to 2 and 8, 13 are always edges
	ELCR_SLAVE = 0xde,

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

static uint8_t requests(const struct pic_chip *c)
{
	return (uint8_t)((c->irr & ~levels(c)) | (c->lines & levels(c)));
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
static int asking(const struct pic_chip *c, uint8_t extra, uint8_t not_nested)
{
	uint32_t wanted = rank(c, (requests(c) | extra) & (uint8_t)~c->imr);
	uint8_t serving = c->isr & (uint8_t)~not_nested;

	if (c->special_mask)
		serving &= (uint8_t)~c->imr;
	return wanted < rank(c, serving) ? (int)line_at(c, wanted) : -1;
}

static int slave_asking(const struct pic *p)
{
	return asking(&p->chip[1], 0, 0);
}

static int master_asking(const struct pic *p)
{
	const struct pic_chip *c = &p->chip[0];
	uint8_t cascade = slave_asking(p) >= 0 ? bit(CASCADE) : 0;

	return asking(c, cascade, c->special_fully_nested ? bit(CASCADE) : 0);
}

// Context: device lock held.
static void update(struct pic *p)
{
	bool output = master_asking(p) >= 0;

	if (output == p->output)
		return;
	p->output = output;
	if (p->intr)
		p->intr(p->opaque, output);
}

void pic_refresh(struct pic *p)
{
	update(p);
}

static void acknowledge(struct pic_chip *c, uint32_t line)
{
	c->irr &= (uint8_t)~bit(line);
	if (!c->auto_eoi)
		c->isr |= bit(line);
	else if (c->rotate_on_auto_eoi)
		c->lowest = (uint8_t)line;
}

int pic_ack(struct pic *p)
{
	LOCKED(&p->dev.lock);
	struct pic_chip *c = &p->chip[0];
	int line = master_asking(p);

	if (line < 0)
		return c->base + SPURIOUS;
	if (line == CASCADE) {
		acknowledge(c, CASCADE);
		c = &p->chip[1];
		line = slave_asking(p);
	}
	if (line >= 0)
		acknowledge(c, (uint32_t)line);
	else
		line = SPURIOUS;
	update(p);
	return c->base + line;
}

bool pic_output(struct pic *p)
{
	LOCKED(&p->dev.lock);
	return p->output;
}

void pic_set_line(struct pic *p, uint32_t line, int level)
{
	if (line >= PIC_LINES)
		return;
	LOCKED(&p->dev.lock);
	struct pic_chip *c = &p->chip[line >> 3];
	uint8_t b = bit(line & 7);

	if (level && !(c->lines & b))
		c->irr |= b;
	c->lines = (uint8_t)(level ? c->lines | b : c->lines & ~b);
	update(p);
}

static void icw1(struct pic_chip *c, uint8_t value)
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

static void write_data(struct pic_chip *c, uint8_t value)
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

// A poll is an acknowledge cycle answered on the data bus: bit 7, and the line.
static uint8_t poll(struct pic *p, struct pic_chip *c)
{
	int line = c == &p->chip[0] ? master_asking(p) : slave_asking(p);

	c->poll = false;
	if (line < 0)
		return 0;
	acknowledge(c, (uint32_t)line);
	update(p);
	return (uint8_t)(0x80 | line);
}

static uint8_t waiting(const struct pic *p, const struct pic_chip *c)
{
	bool cascade = c == &p->chip[0] && slave_asking(p) >= 0;

	return requests(c) | (cascade ? bit(CASCADE) : 0);
}

static int pic_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct pic *p = container_of(d, struct pic, dev);

	(void)size;
	if (region == PIC_ELCR) {
		*ret = p->chip[offset & 1].elcr;
		return 0;
	}
	struct pic_chip *c = &p->chip[region == PIC_SLAVE];
	if (c->poll)
		*ret = poll(p, c);
	else if (offset)
		*ret = c->imr;
	else
		*ret = c->read_isr ? c->isr : waiting(p, c);
	return 0;
}

static int pic_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t value)
{
	struct pic *p = container_of(d, struct pic, dev);
	uint8_t byte = (uint8_t)value; // GUEST: any byte

	(void)size;
	struct pic_chip *c = &p->chip[region == PIC_ELCR ? (offset & 1) : region == PIC_SLAVE];
	if (region == PIC_ELCR) {
		c->elcr = byte & c->elcr_mask;
		c->irr &= (uint8_t)~c->elcr;
	} else if (offset) {
		write_data(c, byte);
	} else if (byte & ICW1) {
		icw1(c, byte);
	} else if (byte & OCW3) {
		ocw3(c, byte);
	} else {
		ocw2(c, byte);
	}
	update(p);
	return 0;
}

static const struct dev_ops pic_ops = {.read = pic_read, .write = pic_write};

struct pic *pic_create(void)
{
	struct pic *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	dev_init(&p->dev, &pic_ops, DEV_BYTES);
	p->chip[0].elcr_mask = ELCR_MASTER;
	p->chip[1].elcr_mask = ELCR_SLAVE;
	pic_reset(p);
	return p;
}

void pic_destroy(struct pic *p)
{
	dev_deinit(&p->dev);
	free(p);
}

void pic_reset(struct pic *p)
{
	LOCKED(&p->dev.lock);
	for (uint32_t i = 0; i < 2; i++) {
		struct pic_chip *c = &p->chip[i];
		icw1(c, 0);
		c->init = 0;
		c->elcr = 0;
		c->base = 0;
		c->imr = 0xff;
	}
	update(p);
}

void pic_set_intr(struct pic *p, void (*intr)(void *opaque, int level), void *opaque)
{
	LOCKED(&p->dev.lock);
	p->intr = intr;
	p->opaque = opaque;
	if (intr && p->output)
		intr(opaque, 1);
}
