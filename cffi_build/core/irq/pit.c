// SPDX-License-Identifier: Apache-2.0
#include "pit.h"

#include <stdlib.h>

enum {
	CONTROL = 3, // offset of the control word
	READ_BACK = 3, // its counter field

	PORT61_GATE2 = 1 << 0,
	PORT61_KEPT = 0xf,
	PORT61_REFRESH = 1 << 4,
	PORT61_OUT2 = 1 << 5,
	REFRESH_TICKS = 18, // memory refresh every 15 us, as counter 1 is always programmed
};

static uint64_t ticks_now(const struct pit *p)
{
	return pit_ticks(vclock_ns(p->clock));
}

// Brings the line to counter 0's level and arms the timer for its next rise. The one clock for
// which modes 2 and 4 lower the output is not shown: it is made up for by a pulse when it rises.
// Context: device lock held.
static void update(struct pit *p)
{
	uint64_t now = ticks_now(p);
	bool level = p->channel[0].mode == 0 ? pit_channel_out(&p->channel[0], now) : true;

	irq_line_set(&p->line, level && !p->irq_off);
	p->due = pit_channel_next_rise(&p->channel[0], now);
	if (p->due == PIT_NEVER) {
		timer_disarm(&p->timer);
		return;
	}
	int64_t when = pit_ns(p->due), earliest = p->last_ns + PIT_MIN_IRQ_NS;
	timer_arm(&p->timer, when > earliest ? when : earliest);
}

static void on_timer(void *opaque)
{
	struct pit *p = opaque;

	LOCKED(&p->dev.lock);
	if (ticks_now(p) < p->due) // reprogrammed meanwhile
		return;
	p->last_ns = vclock_ns(p->clock);
	irq_line_set(&p->line, 0);
	update(p);
}

static void control(struct pit *p, uint8_t word)
{
	uint32_t which = word >> 6;
	uint64_t now = ticks_now(p);

	if (which != READ_BACK) {
		if (word & 0x30)
			pit_channel_control(&p->channel[which], word);
		else
			pit_channel_latch_count(&p->channel[which], now);
		return;
	}
	for (uint32_t i = 0; i < PIT_CHANNELS; i++) {
		if (!(word & 2u << i))
			continue;
		if (!(word & 0x20))
			pit_channel_latch_count(&p->channel[i], now);
		if (!(word & 0x10))
			pit_channel_latch_status(&p->channel[i], now);
	}
}

static uint8_t read_port61(struct pit *p)
{
	uint64_t now = ticks_now(p);

	return (uint8_t)(p->port61 | (now / REFRESH_TICKS % 2 ? PORT61_REFRESH : 0) |
			 (pit_channel_out(&p->channel[2], now) ? PORT61_OUT2 : 0));
}

static int pit_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct pit *p = container_of(d, struct pit, dev);

	(void)size;
	if (region == PIT_PORT61)
		*ret = read_port61(p);
	else if (offset != CONTROL)
		*ret = pit_channel_read(&p->channel[offset], ticks_now(p));
	if (region == PIT_COUNTERS && offset == 2 && p->count2_hidden)
		*ret = 0;
	return 0;
}

static int pit_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t value)
{
	struct pit *p = container_of(d, struct pit, dev);
	uint8_t byte = (uint8_t)value;

	(void)size;
	if (region == PIT_PORT61) {
		p->port61 = byte & PORT61_KEPT;
		pit_channel_set_gate(&p->channel[2], byte & PORT61_GATE2, ticks_now(p));
		return 0;
	}
	if (offset == CONTROL)
		control(p, byte);
	else
		pit_channel_write(&p->channel[offset], byte, ticks_now(p));
	if (offset == 0 || (offset == CONTROL && byte >> 6 == 0))
		update(p);
	return 0;
}

static const struct dev_ops pit_ops = { .read = pit_read, .write = pit_write };

struct pit *pit_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock, struct loop *loop)
{
	struct pit *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (timer_init(&p->timer, clock, loop, on_timer, p) < 0) {
		free(p);
		return NULL;
	}
	dev_init(&p->dev, &pit_ops, DEV_BYTES);
	irq_line_init(&p->line, hub, gsi);
	p->clock = clock;
	pit_reset(p);
	return p;
}

void pit_destroy(struct pit *p)
{
	timer_deinit(&p->timer);
	irq_line_deinit(&p->line);
	dev_deinit(&p->dev);
	free(p);
}

void pit_reset(struct pit *p)
{
	LOCKED(&p->dev.lock);
	for (uint32_t i = 0; i < PIT_CHANNELS; i++)
		pit_channel_reset(&p->channel[i], i != 2);
	p->port61 = 0;
	p->last_ns = -PIT_MIN_IRQ_NS;
	update(p);
}

void pit_hide_count2(struct pit *p)
{
	p->count2_hidden = true;
}

void pit_set_irq_off(struct pit *p, bool off)
{
	LOCKED(&p->dev.lock);
	p->irq_off = off;
	update(p);
}

void pit_save(struct pit *p, struct pit_state *ret)
{
	LOCKED(&p->dev.lock);
	memset(ret, 0, sizeof(*ret));
	ret->version = PIT_STATE_VERSION;
	ret->port61 = p->port61;
	ret->line = p->line.level != 0;
	for (uint32_t i = 0; i < PIT_CHANNELS; i++) {
		const struct pit_channel *c = &p->channel[i];
		ret->mode[i] = c->mode;
		ret->access[i] = c->access;
		ret->bcd[i] = c->bcd;
		ret->gate[i] = c->gate;
		ret->loaded[i] = c->loaded;
		ret->triggered[i] = c->triggered;
		ret->have_low[i] = c->have_low;
		ret->read_high[i] = c->read_high;
		ret->low[i] = c->low;
		ret->latched[i] = c->latched;
		ret->latch[i] = c->latch;
		ret->status_latched[i] = c->status_latched;
		ret->status[i] = c->status;
		ret->reload[i] = c->reload;
		ret->pending[i] = c->pending;
		ret->start[i] = c->start;
		ret->held[i] = c->held;
	}
}

static bool possible(const struct pit_state *s, uint32_t i)
{
	uint8_t flags = s->bcd[i] | s->gate[i] | s->loaded[i] | s->triggered[i] | s->have_low[i] |
			s->read_high[i] | s->status_latched[i];

	return flags <= 1 && s->mode[i] <= 5 && s->access[i] >= 1 && s->access[i] <= 3 &&
	       s->latched[i] <= 3 && s->reload[i] >= 1 && s->reload[i] <= 0x10000 &&
	       s->pending[i] <= 0x10000 && (i == 2 || s->gate[i]);
}

int pit_load(struct pit *p, const struct pit_state *s)
{
	if (s->version != PIT_STATE_VERSION || s->port61 & ~PORT61_KEPT || s->line > 1 ||
	    s->gate[2] != (s->port61 & PORT61_GATE2))
		return -EINVAL;
	LOCKED(&p->dev.lock);
	uint64_t now = ticks_now(p);
	for (uint32_t i = 0; i < PIT_CHANNELS; i++) {
		if (!possible(s, i) || s->start[i] > now)
			return -EINVAL;
	}
	p->port61 = s->port61;
	for (uint32_t i = 0; i < PIT_CHANNELS; i++) {
		p->channel[i] = (struct pit_channel){
			.mode = s->mode[i],
			.access = s->access[i],
			.bcd = s->bcd[i],
			.gate = s->gate[i],
			.loaded = s->loaded[i],
			.triggered = s->triggered[i],
			.have_low = s->have_low[i],
			.read_high = s->read_high[i],
			.low = s->low[i],
			.latched = s->latched[i],
			.latch = s->latch[i],
			.status_latched = s->status_latched[i],
			.status = s->status[i],
			.reload = s->reload[i],
			.pending = s->pending[i],
			.start = s->start[i],
			.held = s->held[i],
		};
	}
	update(p);
	return 0;
}
