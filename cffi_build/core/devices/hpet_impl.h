// SPDX-License-Identifier: Apache-2.0
// Inside the HPET: shared by hpet.c (registers), hpet_event.c (time) and hpet_state.c only. All
// with the device's lock held but hpet_wake().
#ifndef VMM_HPET_IMPL_H
#define VMM_HPET_IMPL_H

#include "hpet.h"

static inline uint64_t hpet_ticks(int64_t ns)
{
	return ns < 0 ? 0 : (uint64_t)ns / HPET_TICK_NS;
}

static inline uint64_t hpet_width(const struct hpet_timer *t)
{
	return t->config & HPET_MODE_32 ? UINT32_MAX : UINT64_MAX;
}

// hpet_event.c
uint64_t hpet_counter_at(const struct hpet *h, int64_t now);
// Enable and legacy replacement; the counter goes on from where it is.
void hpet_set_config(struct hpet *h, int64_t now, uint64_t value);
// Connects a timer's output to where its configuration says; a route that is not offered leads
// nowhere.
void hpet_connect(struct hpet *h, uint32_t n);
// Sets the level lines and arms the timer for the next interrupt; all events up to now are handled.
void hpet_update(struct hpet *h, int64_t now);
// Handles events between the last look and `now`; must come before any change.
void hpet_catch_up(struct hpet *h, int64_t now);
// The timer's function: takes the lock itself.
void hpet_wake(void *opaque);

#endif
