// SPDX-License-Identifier: Apache-2.0
#include "hpet.h"

#include <stdlib.h>

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

	ENABLE = 1 << 0,
	LEGACY = 1 << 1,

	LEVEL = 1 << 1,
	INT_ENABLE = 1 << 2,
	PERIODIC = 1 << 3,
	VALUE_SET = 1 << 6,
	MODE_32 = 1 << 8,
	ROUTE_SHIFT = 9,
	ROUTE = 0x1f << ROUTE_SHIFT,
	TIMER_WRITABLE = LEVEL | INT_ENABLE | PERIODIC | VALUE_SET | MODE_32 | ROUTE,
};

#define STATUS_BITS ((1ull << HPET_TIMERS) - 1)
#define TIMER_CAPABILITIES (1u << 4 | 1u << 5 | (uint64_t)HPET_ROUTES << 32) // periodic, 64 bits
#define FEMTOSECONDS (HPET_TICK_NS * 1000000ull)
#define FAR_AWAY (1ull << 56) // ticks; 22 years

static uint64_t ticks(int64_t ns)
{
	return ns < 0 ? 0 : (uint64_t)ns / HPET_TICK_NS;
}

static uint64_t counter_at(const struct hpet *h, int64_t now)
{
	return h->config & ENABLE ? h->base + ticks(now) : h->base;
}

static uint64_t width(const struct hpet_timer *t)
{
	return t->config & MODE_32 ? UINT32_MAX : UINT64_MAX;
}

// Ticks from counter value `from` until the comparator is next reached, at least 1 (0 means 2^64).
static uint64_t distance(const struct hpet_timer *t, uint64_t from)
{
	return ((t->comparator - from - 1) & width(t)) + 1;
}

static bool raises(const struct hpet *h, uint32_t n)
{
	const struct hpet_timer *t = &h->timer[n];

	return (h->config & ENABLE) && (t->config & INT_ENABLE) && (t->config & LEVEL) &&
	       (h->status >> n & 1);
}

// A timer's comparator was reached.
static void fire(struct hpet *h, uint32_t n)
{
	struct hpet_timer *t = &h->timer[n];

	if (t->config & LEVEL) {
		h->status |= 1ull << n;
	} else if (t->config & INT_ENABLE) {
		irq_line_set(&t->line, 1);
		irq_line_set(&t->line, 0);
	}
}

// Handles events between the last look and `now`. Context: lock held; must come before any change.
static void catch_up(struct hpet *h, int64_t now)
{
	uint64_t from = h->seen, to = counter_at(h, now);

	h->seen = to;
	if (!(h->config & ENABLE))
		return;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &h->timer[n];
		uint64_t first = distance(t, from);
		if (!first || first > to - from)
			continue;
		fire(h, n);
		// The next multiple of the period after `to`; missed ones are lost.
		uint64_t late = to - from - first;
		uint64_t period = t->period & width(t);
		if ((t->config & PERIODIC) && period)
			t->comparator = (t->comparator + (late / period + 1) * period) & width(t);
	}
}

// Sets the level lines and arms the timer for the next interrupt. Context: lock held, caught up.
static void update(struct hpet *h, int64_t now)
{
	uint64_t next = FAR_AWAY;

	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &h->timer[n];
		uint64_t in = distance(t, h->seen);
		irq_line_set(&t->line, raises(h, n));
		if ((h->config & ENABLE) && (t->config & INT_ENABLE) && !raises(h, n) && in &&
		    in < next)
			next = in;
	}
	if (next == FAR_AWAY) {
		timer_disarm(&h->wake);
		return;
	}
	int64_t when = (int64_t)(ticks(now) + next) * HPET_TICK_NS;
	int64_t earliest = h->last_ns + HPET_MIN_IRQ_NS;
	timer_arm(&h->wake, when > earliest ? when : earliest);
}

static void on_wake(void *opaque)
{
	struct hpet *h = opaque;

	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	h->last_ns = now;
	catch_up(h, now);
	update(h, now);
}

// Connects a timer's output to where its configuration says; a route that is not offered leads nowhere.
static void connect(struct hpet *h, uint32_t n)
{
	struct hpet_timer *t = &h->timer[n];
	uint32_t gsi = (uint32_t)(t->config & ROUTE) >> ROUTE_SHIFT;
	struct irq_hub *hub = HPET_ROUTES >> gsi & 1 ? h->hub : NULL;

	if ((h->config & LEGACY) && n < 2) {
		gsi = n ? 8 : 0;
		hub = h->hub;
	}
	if (t->line.hub == hub && t->line.gsi == gsi)
		return;
	irq_line_deinit(&t->line);
	irq_line_init(&t->line, hub, gsi);
}

static void set_config(struct hpet *h, int64_t now, uint64_t value)
{
	uint64_t was = h->config, counter = counter_at(h, now);

	h->config = value & (ENABLE | LEGACY);
	h->base = h->config & ENABLE ? counter - ticks(now) : counter;
	if ((was ^ h->config) & LEGACY) {
		for (uint32_t n = 0; n < HPET_TIMERS; n++)
			connect(h, n);
		if (h->legacy)
			h->legacy(h->opaque, h->config & LEGACY ? 1 : 0);
	}
}

static void set_timer_config(struct hpet *h, uint32_t n, uint64_t value)
{
	struct hpet_timer *t = &h->timer[n];
	uint32_t route = (uint32_t)(value & ROUTE) >> ROUTE_SHIFT;

	value &= TIMER_WRITABLE; // GUEST: any bits
	if (!(HPET_ROUTES >> route & 1))
		value = (value & ~(uint64_t)ROUTE) | (t->config & ROUTE);
	t->config = value;
	if (!(value & LEVEL))
		h->status &= ~(1ull << n);
	t->comparator &= width(t);
	connect(h, n);
}

static uint64_t timer_register(const struct hpet *h, uint32_t offset)
{
	const struct hpet_timer *t = &h->timer[(offset - REG_TIMERS) / TIMER_STRIDE];

	switch (offset % TIMER_STRIDE) {
	case TIMER_CONFIG:
		return (t->config & ~(uint64_t)VALUE_SET) | TIMER_CAPABILITIES;
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
		return counter_at(h, now);
	}
	if (offset >= REG_TIMERS && offset < REG_TIMERS + HPET_TIMERS * TIMER_STRIDE)
		return timer_register(h, offset);
	return 0;
}

// A comparator write sets the comparator, the period, or both (2.3.9.2.2). mask: the bytes written.
static void set_comparator(struct hpet_timer *t, uint64_t value, uint64_t mask)
{
	bool periodic = t->config & PERIODIC;

	if (!periodic || (t->config & VALUE_SET))
		t->comparator = ((t->comparator & ~mask) | value) & width(t);
	if (periodic)
		t->period = ((t->period & ~mask) | value) & width(t);
	t->config &= ~(uint64_t)VALUE_SET;
}

// value: shifted into place, zero outside mask.
static void set_register(struct hpet *h, uint32_t offset, uint64_t value, uint64_t mask,
			 int64_t now)
{
	uint64_t whole = (get_register(h, offset, now) & ~mask) | value;

	switch (offset) {
	case REG_CONFIG:
		set_config(h, now, whole);
		return;
	case REG_STATUS:
		h->status &= ~value;
		return;
	case REG_COUNTER:
		h->base = h->config & ENABLE ? whole - ticks(now) : whole;
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
	if ((offset & ~7ull) == REG_STATUS) {
		catch_up(h, now);
		update(h, now);
	} else if (offset >= REG_TIMERS) {
		catch_up(h, now); // a periodic comparator has moved on
		update(h, now);
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
	catch_up(h, now);
	set_register(h, (uint32_t)offset & ~7u, (value & bytes) << shift, bytes << shift, now);
	update(h, now);
	return 0;
}

static const struct dev_ops hpet_ops = {.read = hpet_read, .write = hpet_write};

struct hpet *hpet_create(struct irq_hub *hub, struct vclock *clock, struct loop *loop)
{
	struct hpet *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	if (timer_init(&h->wake, clock, loop, on_wake, h) < 0) {
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
	set_config(h, now, 0);
	h->status = h->base = h->seen = 0;
	h->last_ns = -HPET_MIN_IRQ_NS;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		h->timer[n].config = 0;
		h->timer[n].comparator = UINT64_MAX;
		h->timer[n].period = 0;
		connect(h, n);
	}
	update(h, now);
}

void hpet_save(struct hpet *h, struct hpet_state *ret)
{
	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	*ret = (struct hpet_state){
		.version = HPET_STATE_VERSION,
		.config = h->config,
		.status = h->status,
		.counter = counter_at(h, now),
		.seen = h->seen,
	};
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		ret->timer_config[n] = h->timer[n].config;
		ret->comparator[n] = h->timer[n].comparator;
		ret->period[n] = h->timer[n].period;
	}
}

static bool possible(const struct hpet_state *s, uint32_t n)
{
	uint64_t config = s->timer_config[n];
	uint64_t limit = config & MODE_32 ? UINT32_MAX : UINT64_MAX;
	uint32_t route = (uint32_t)(config & ROUTE) >> ROUTE_SHIFT;

	return !(config & ~(uint64_t)TIMER_WRITABLE) && s->comparator[n] <= limit &&
	       (!route || (HPET_ROUTES >> route & 1)) &&
	       ((config & LEVEL) || !(s->status >> n & 1));
}

int hpet_load(struct hpet *h, const struct hpet_state *s)
{
	if (s->version != HPET_STATE_VERSION || s->config & ~(uint64_t)(ENABLE | LEGACY) ||
	    s->status & ~STATUS_BITS)
		return -EINVAL;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		if (!possible(s, n))
			return -EINVAL;
	}
	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	set_config(h, now, s->config);
	h->base = h->config & ENABLE ? s->counter - ticks(now) : s->counter;
	h->status = s->status;
	h->seen = s->seen;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		h->timer[n].config = s->timer_config[n];
		h->timer[n].comparator = s->comparator[n];
		h->timer[n].period = s->period[n];
		connect(h, n);
	}
	update(h, now);
	return 0;
}

void hpet_set_legacy(struct hpet *h, void (*legacy)(void *opaque, int on), void *opaque)
{
	LOCKED(&h->dev.lock);
	h->legacy = legacy;
	h->opaque = opaque;
}
