// SPDX-License-Identifier: Apache-2.0
// The registers of the HPET; its time and events are hpet_event.c.
#include <stdlib.h>

#include "hpet_impl.h"

enum {
	// Register offsets (chapter 2.3)
	REG_CAPABILITIES = 0x000,
	REG_CONFIG = 0x010,
	REG_STATUS = 0x020,
	REG_COUNTER = 0x0f0,
	REG_TIMERS = 0x100,
	TIMER_STRIDE = 0x20,
	TIMER_CONFIG = 0x00,
	TIMER_COMPARATOR = 0x08,
};

#define TIMER_CAPABILITIES (1u << 4 | 1u << 5 | (uint64_t)HPET_ROUTES << 32) // periodic, 64 bits
#define FEMTOSECONDS (HPET_TICK_NS * 1000000ull)

static void set_timer_config(struct hpet *h, uint32_t n, uint64_t value)
{
	struct hpet_timer *t = &h->timer[n];
	uint32_t route = (uint32_t)(value & HPET_ROUTE) >> HPET_ROUTE_SHIFT;

	value &= HPET_TIMER_WRITABLE; // GUEST: any bits
	if (!(HPET_ROUTES >> route & 1))
		value = (value & ~(uint64_t)HPET_ROUTE) | (t->config & HPET_ROUTE);
	t->config = value;
	if (!(value & HPET_LEVEL))
		h->status &= ~(1ull << n);
	t->comparator &= hpet_width(t);
	hpet_connect(h, n);
}

static uint64_t timer_register(const struct hpet *h, uint32_t offset)
{
	const struct hpet_timer *t = &h->timer[(offset - REG_TIMERS) / TIMER_STRIDE];

	switch (offset % TIMER_STRIDE) {
	case TIMER_CONFIG:
		return (t->config & ~(uint64_t)HPET_VALUE_SET) | TIMER_CAPABILITIES;
	case TIMER_COMPARATOR:
		return t->comparator;
	}
	return 0; // no FSB route
}

// The 8-byte register at `offset`, a multiple of 8.
static uint64_t get_register(const struct hpet *h, uint32_t offset, int64_t now)
{
	switch (offset) {
	case REG_CAPABILITIES:
		return FEMTOSECONDS << 32 | HPET_BLOCK_ID;
	case REG_CONFIG:
		return h->config;
	case REG_STATUS:
		return h->status;
	case REG_COUNTER:
		return hpet_counter_at(h, now);
	}
	if (offset >= REG_TIMERS && offset < REG_TIMERS + HPET_TIMERS * TIMER_STRIDE)
		return timer_register(h, offset);
	return 0;
}

// A comparator write sets the comparator, the period, or both (2.3.9.2.2). mask: the bytes written.
static void set_comparator(struct hpet_timer *t, uint64_t value, uint64_t mask)
{
	bool periodic = t->config & HPET_PERIODIC;

	if (!periodic || (t->config & HPET_VALUE_SET))
		t->comparator = ((t->comparator & ~mask) | value) & hpet_width(t);
	if (periodic)
		t->period = ((t->period & ~mask) | value) & hpet_width(t);
	t->config &= ~(uint64_t)HPET_VALUE_SET;
}

// value: shifted into place, zero outside mask.
static void set_register(struct hpet *h, uint32_t offset, uint64_t value, uint64_t mask,
			 int64_t now)
{
	uint64_t whole = (get_register(h, offset, now) & ~mask) | value;

	switch (offset) {
	case REG_CONFIG:
		hpet_set_config(h, now, whole);
		return;
	case REG_STATUS:
		h->status &= ~value;
		return;
	case REG_COUNTER:
		h->base = h->config & HPET_ENABLE ? whole - hpet_ticks(now) : whole;
		h->seen = whole;
		return;
	}
	if (offset < REG_TIMERS || offset >= REG_TIMERS + HPET_TIMERS * TIMER_STRIDE)
		return;
	uint32_t n = (offset - REG_TIMERS) / TIMER_STRIDE;
	if (offset % TIMER_STRIDE == TIMER_CONFIG)
		set_timer_config(h, n, whole);
	else if (offset % TIMER_STRIDE == TIMER_COMPARATOR)
		set_comparator(&h->timer[n], value, mask);
}

// Accesses that cross an 8-byte boundary are undefined: reads give what fits, writes are ignored.
static int hpet_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct hpet *h = container_of(d, struct hpet, dev);
	int64_t now = vclock_ns(h->clock);

	(void)region, (void)size;
	// A timer may have fired, a periodic comparator have moved on.
	if ((offset & ~7ull) == REG_STATUS || offset >= REG_TIMERS) {
		hpet_catch_up(h, now);
		hpet_update(h, now);
	}
	*ret = get_register(h, (uint32_t)offset & ~7u, now) >> (8 * (offset & 7));
	return 0;
}

static int hpet_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	struct hpet *h = container_of(d, struct hpet, dev);
	uint32_t shift = 8 * (offset & 7);
	uint64_t bytes = size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
	int64_t now = vclock_ns(h->clock);

	(void)region;
	if ((offset & 7) + size > 8)
		return 0;
	hpet_catch_up(h, now);
	set_register(h, (uint32_t)offset & ~7u, (value & bytes) << shift, bytes << shift, now);
	hpet_update(h, now);
	return 0;
}

static const struct dev_ops hpet_ops = { .read = hpet_read, .write = hpet_write };

struct hpet *hpet_create(struct irq_hub *hub, struct vclock *clock, struct loop *loop)
{
	struct hpet *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	if (timer_init(&h->wake, clock, loop, hpet_wake, h) < 0) {
		free(h);
		return NULL;
	}
	dev_init(&h->dev, &hpet_ops, 0);
	h->hub = hub;
	h->clock = clock;
	hpet_reset(h);
	return h;
}

void hpet_destroy(struct hpet *h)
{
	timer_deinit(&h->wake);
	for (uint32_t n = 0; n < HPET_TIMERS; n++)
		irq_line_deinit(&h->timer[n].line);
	dev_deinit(&h->dev);
	free(h);
}

void hpet_reset(struct hpet *h)
{
	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	hpet_set_config(h, now, 0);
	h->status = h->base = h->seen = 0;
	h->last_ns = -HPET_MIN_IRQ_NS;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		h->timer[n].config = 0;
		h->timer[n].comparator = UINT64_MAX;
		h->timer[n].period = 0;
		hpet_connect(h, n);
	}
	hpet_update(h, now);
}

void hpet_set_legacy(struct hpet *h, void (*legacy)(void *opaque, int on), void *opaque)
{
	LOCKED(&h->dev.lock);
	h->legacy = legacy;
	h->opaque = opaque;
}
