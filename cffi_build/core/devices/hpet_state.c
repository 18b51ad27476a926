// SPDX-License-Identifier: Apache-2.0
// Saving and restoring the HPET.
#include "hpet_impl.h"

void hpet_save(struct hpet *h, struct hpet_state *ret)
{
	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	*ret = (struct hpet_state){
		.version = HPET_STATE_VERSION,
		.config = h->config,
		.status = h->status,
		.counter = hpet_counter_at(h, now),
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
	uint64_t limit = config & HPET_MODE_32 ? UINT32_MAX : UINT64_MAX;
	uint32_t route = (uint32_t)(config & HPET_ROUTE) >> HPET_ROUTE_SHIFT;

	return !(config & ~(uint64_t)HPET_TIMER_WRITABLE) && s->comparator[n] <= limit &&
	       (!route || (HPET_ROUTES >> route & 1)) &&
	       ((config & HPET_LEVEL) || !(s->status >> n & 1));
}

int hpet_load(struct hpet *h, const struct hpet_state *s)
{
	if (s->version != HPET_STATE_VERSION ||
	    s->config & ~(uint64_t)(HPET_ENABLE | HPET_LEGACY) ||
	    s->status & ~((1ull << HPET_TIMERS) - 1))
		return -EINVAL;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		if (!possible(s, n))
			return -EINVAL;
	}
	LOCKED(&h->dev.lock);
	int64_t now = vclock_ns(h->clock);
	hpet_set_config(h, now, s->config);
	h->base = h->config & HPET_ENABLE ? s->counter - hpet_ticks(now) : s->counter;
	h->status = s->status;
	h->seen = s->seen;
	for (uint32_t n = 0; n < HPET_TIMERS; n++) {
		h->timer[n].config = s->timer_config[n];
		h->timer[n].comparator = s->comparator[n];
		h->timer[n].period = s->period[n];
		hpet_connect(h, n);
	}
	hpet_update(h, now);
	return 0;
}
