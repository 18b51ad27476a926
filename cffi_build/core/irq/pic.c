// SPDX-License-Identifier: Apache-2.0
#include "pic.h"

#include <stdlib.h>

enum {
	CASCADE = 2, // the slave's line at the master
	SPURIOUS = 7,
	ELCR_MASTER = 0xf8, // lines 0 to 2 and 8, 13 are always edges
	ELCR_SLAVE = 0xde,
};

static uint8_t bit(uint32_t line)
{
	return (uint8_t)(1u << line);
}

static int slave_asking(const struct pic *p)
{
	return pic_chip_asking(&p->chip[1], 0, 0);
}

static int master_asking(const struct pic *p)
{
	const struct pic_chip *c = &p->chip[0];
	uint8_t cascade = slave_asking(p) >= 0 ? bit(CASCADE) : 0;

	return pic_chip_asking(c, cascade, c->special_fully_nested ? bit(CASCADE) : 0);
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

// `lines` of a chip are in service no longer: those that were held are let go.
static void end(struct pic *p, struct pic_chip *c, uint8_t lines)
{
	uint32_t first = c == &p->chip[1] ? 8 : 0;

	c->held &= (uint8_t)~lines;
	for (uint32_t i = 0; p->ended && i < 8; i++)
		if (lines & bit(i))
			p->ended(p->ended_opaque, first + i);
}

static void acknowledge(struct pic *p, struct pic_chip *c, uint32_t line)
{
	pic_chip_acknowledge(c, line);
	if (c->auto_eoi)
		end(p, c, bit(line));
}

int pic_ack(struct pic *p)
{
	LOCKED(&p->dev.lock);
	struct pic_chip *c = &p->chip[0];
	int line = master_asking(p);

	if (line < 0)
		return c->base + SPURIOUS;
	if (line == CASCADE) {
		acknowledge(p, c, CASCADE);
		c = &p->chip[1];
		line = slave_asking(p);
	}
	if (line >= 0)
		acknowledge(p, c, (uint32_t)line);
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

static void change(struct pic *p, struct pic_chip *c, uint8_t *which, uint8_t b, bool level)
{
	if (level && !((c->lines | c->held) & b))
		c->irr |= b;
	*which = (uint8_t)(level ? *which | b : *which & ~b);
	update(p);
}

void pic_set_line(struct pic *p, uint32_t line, int level)
{
	if (line >= PIC_LINES)
		return;
	LOCKED(&p->dev.lock);
	struct pic_chip *c = &p->chip[line >> 3];
	change(p, c, &c->lines, bit(line & 7), level);
}

void pic_hold(struct pic *p, uint32_t line, bool held)
{
	if (line >= PIC_LINES)
		return;
	LOCKED(&p->dev.lock);
	struct pic_chip *c = &p->chip[line >> 3];
	change(p, c, &c->held, bit(line & 7), held);
}

void pic_set_ended(struct pic *p, void (*ended)(void *opaque, uint32_t line), void *opaque)
{
	LOCKED(&p->dev.lock);
	p->ended = ended;
	p->ended_opaque = opaque;
}

// A poll is an acknowledge cycle answered on the data bus: bit 7, and the line.
static uint8_t poll(struct pic *p, struct pic_chip *c)
{
	int line = c == &p->chip[0] ? master_asking(p) : slave_asking(p);

	c->poll = false;
	if (line < 0)
		return 0;
	acknowledge(p, c, (uint32_t)line);
	update(p);
	return (uint8_t)(0x80 | line);
}

static uint8_t waiting(const struct pic *p, const struct pic_chip *c)
{
	bool cascade = c == &p->chip[0] && slave_asking(p) >= 0;

	return pic_chip_requests(c) | (cascade ? bit(CASCADE) : 0);
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
	uint8_t serving = c->isr;
	if (region == PIC_ELCR) {
		c->elcr = byte & c->elcr_mask;
		c->irr &= (uint8_t)~c->elcr;
	} else if (offset) {
		pic_chip_data(c, byte);
	} else {
		pic_chip_command(c, byte);
	}
	end(p, c, serving & (uint8_t)~c->isr);
	update(p);
	return 0;
}

static const struct dev_ops pic_ops = { .read = pic_read, .write = pic_write };

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
		pic_chip_icw1(c, 0);
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
