// SPDX-License-Identifier: Apache-2.0
// The HPET's counter in virtual time, what its comparators raise, and the lines.
#include "hpet_impl.h"

#define FAR_AWAY (1ull << 56) // ticks; 22 years

uint64_t hpet_counter_at(const struct hpet *h, int64_t now)
{
	return h->config & HPET_ENABLE ? h->base + hpet_ticks(now) : h->base;
}

// Ticks from counter value `from` until the comparator is next reached, at least 1 (0 means 2^64).
static uint64_t distance(const struct hpet_timer *t, uint64_t from)
{
	return ((t->comparator - from - 1) & hpet_width(t)) + 1;
}

static bool raises(const struct hpet *h, uint32_t n)
{
	const struct hpet_timer *t = &h->timer[n];

	return (h->config & HPET_ENABLE) && (t->config & HPET_INT_ENABLE) &&
	       (t->config & HPET_LEVEL) && (h->status >> n & 1);
}

// A timer's comparator was reached.
static void fire(struct hpet *h, uint32_t n)
{
	struct hpet_timer *t = &h->timer[n];

	if (t->config & HPET_LEVEL) {
		h->status |= 1ull << n;
	} else if (t->config & HPET_INT_ENABLE) {
		irq_line_set(&t->line, 1);
		irq_line_set(&t->line, 0);
	}
}

void hpet_catch_up(struct hpet *h, int64_t now)
{
	uint64_t from = h->seen, to = hpet_counter_at(h, now);

	h->seen = to;
	if (!(h->config & HPET_ENABLE))
		return;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &h->timer[n];
		uint64_t first = distance(t, from);
		if (!first || first > to - from)
			continue;
		fire(h, n);
		// The next multiple of the period after `to`; missed ones are lost.
		uint64_t late = to - from - first;
		uint64_t period = t->period & hpet_width(t);
		if ((t->config & HPET_PERIODIC) && period)
			t->comparator =
				(t->comparator + (late / period + 1) * period) & hpet_width(t);
	}
}

void hpet_update(struct hpet *h, int64_t now)
{
	uint64_t next = FAR_AWAY;

	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &h->timer[n];
		uint64_t in = distance(t, h->seen);
		irq_line_set(&t->line, raises(h, n));
		if ((h->config & HPET_ENABLE) && (t->config & HPET_INT_ENABLE) && !raises(h, n) &&
		    in && in < next)
			next = in;
	}
	if (next == FAR_AWAY) {
		timer_disarm(&h->wake);
		return;
	}
	int64_t when = (int64_t)(hpet_ticks(now) + next) * HPET_TICK_NS;
	int64_t earliest = h->last_ns + HPET_MIN_IRQ_NS;
	timer_arm(&h->wake, when > earliest ? when : earliest);
}

void hpet_wake(void *opaque)
{
	struct hpet *h = opaque;

	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	h->last_ns = now;
	hpet_catch_up(h, now);
	hpet_update(h, now);
}

void hpet_connect(struct hpet *h, uint32_t n)
{
	struct hpet_timer *t = &h->timer[n];
	uint32_t gsi = (uint32_t)(t->config & HPET_ROUTE) >> HPET_ROUTE_SHIFT;
	struct irq_hub *hub = HPET_ROUTES >> gsi & 1 ? h->hub : NULL;

	if ((h->config & HPET_LEGACY) && n < 2) {
		gsi = n ? 8 : 0;
		hub = h->hub;
	}
	if (t->line.hub == hub && t->line.gsi == gsi)
		return;
	irq_line_deinit(&t->line);
	irq_line_init(&t->line, hub, gsi);
}

void hpet_set_config(struct hpet *h, int64_t now, uint64_t value)
{
	uint64_t was = h->config, counter = hpet_counter_at(h, now);

	h->config = value & (HPET_ENABLE | HPET_LEGACY);
	h->base = h->config & HPET_ENABLE ? counter - hpet_ticks(now) : counter;
	if ((was ^ h->config) & HPET_LEGACY) {
		for (uint32_t n = 0; n < HPET_TIMERS; n++)
			hpet_connect(h, n);
		if (h->legacy)
			h->legacy(h->opaque, h->config & HPET_LEGACY ? 1 : 0);
	}
}
