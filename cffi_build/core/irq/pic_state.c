// SPDX-License-Identifier: Apache-2.0
// Saving and restoring the PIC.
#include "pic.h"

void pic_save(struct pic *p, struct pic_state *ret)
{
	LOCKED(&p->dev.lock);
	memset(ret, 0, sizeof(*ret));
	ret->version = PIC_STATE_VERSION;
	ret->output = p->output;
	for (uint32_t i = 0; i < 2; i++) {
		const struct pic_chip *c = &p->chip[i];
		ret->lines[i] = c->lines;
		ret->irr[i] = c->irr;
		ret->imr[i] = c->imr;
		ret->isr[i] = c->isr;
		ret->elcr[i] = c->elcr;
		ret->base[i] = c->base;
		ret->lowest[i] = c->lowest;
		ret->init[i] = c->init;
		ret->icw4[i] = c->icw4;
		ret->single[i] = c->single;
		ret->level_mode[i] = c->level_mode;
		ret->auto_eoi[i] = c->auto_eoi;
		ret->rotate_on_auto_eoi[i] = c->rotate_on_auto_eoi;
		ret->special_mask[i] = c->special_mask;
		ret->special_fully_nested[i] = c->special_fully_nested;
		ret->poll[i] = c->poll;
		ret->read_isr[i] = c->read_isr;
	}
}

static bool possible(const struct pic *p, const struct pic_state *s, uint32_t i)
{
	uint8_t flags = s->icw4[i] | s->single[i] | s->level_mode[i] | s->auto_eoi[i] |
			s->rotate_on_auto_eoi[i] | s->special_mask[i] | s->special_fully_nested[i] |
			s->poll[i] | s->read_isr[i];

	return flags <= 1 && s->lowest[i] < 8 && !(s->base[i] & 7) && s->init[i] != 1 &&
	       s->init[i] <= 4 && !(s->elcr[i] & ~p->chip[i].elcr_mask);
}

int pic_load(struct pic *p, const struct pic_state *s)
{
	if (s->version != PIC_STATE_VERSION || s->output > 1 || !possible(p, s, 0) ||
	    !possible(p, s, 1))
		return -EINVAL;
	LOCKED(&p->dev.lock);
	for (uint32_t i = 0; i < 2; i++) {
		p->chip[i] = (struct pic_chip){
			.lines = s->lines[i],
			.held = p->chip[i].held,
			.irr = s->irr[i],
			.imr = s->imr[i],
			.isr = s->isr[i],
			.elcr = s->elcr[i],
			.elcr_mask = p->chip[i].elcr_mask,
			.base = s->base[i],
			.lowest = s->lowest[i],
			.init = s->init[i],
			.icw4 = s->icw4[i],
			.single = s->single[i],
			.level_mode = s->level_mode[i],
			.auto_eoi = s->auto_eoi[i],
			.rotate_on_auto_eoi = s->rotate_on_auto_eoi[i],
			.special_mask = s->special_mask[i],
			.special_fully_nested = s->special_fully_nested[i],
			.poll = s->poll[i],
			.read_isr = s->read_isr[i],
		};
	}
	pic_refresh(p);
	return 0;
}
