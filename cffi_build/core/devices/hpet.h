// SPDX-License-Identifier: Apache-2.0
// A high precision event timer block (IA-PC HPET 1.0a): a 64-bit counter at 100 MHz and three
// timers, all periodic-capable, interrupts by line only.
//
// The counter is computed from virtual time; a timer's event is its comparator lying between two
// looks at the counter. Events closer than HPET_MIN_IRQ_NS are merged, so that no guest can keep
// the host busy.
#ifndef VMM_HPET_H
#define VMM_HPET_H

#include "dev.h"
#include "irq.h"
#include "timer.h"

enum {
	HPET_TIMERS = 3,
	HPET_STATE_VERSION = 1,
	HPET_TICK_NS = 10,
	HPET_BYTES = 0x400, // of registers
	HPET_MIN_IRQ_NS = 100000,
};

#define HPET_BLOCK_ID 0x8086a201u // three timers, 64 bits, legacy replacement, revision 1
#define HPET_ROUTES 0x00f00000u // GSIs 20 to 23, free of everything else

// General and timer configuration (2.3.5, 2.3.8).
enum {
	HPET_ENABLE = 1 << 0,
	HPET_LEGACY = 1 << 1,

	HPET_LEVEL = 1 << 1,
	HPET_INT_ENABLE = 1 << 2,
	HPET_PERIODIC = 1 << 3,
	HPET_VALUE_SET = 1 << 6,
	HPET_MODE_32 = 1 << 8,
	HPET_ROUTE_SHIFT = 9,
	HPET_ROUTE = 0x1f << HPET_ROUTE_SHIFT,
	HPET_TIMER_WRITABLE = HPET_LEVEL | HPET_INT_ENABLE | HPET_PERIODIC | HPET_VALUE_SET |
			      HPET_MODE_32 | HPET_ROUTE,
};

struct hpet_timer {
	struct irq_line line;
	uint64_t config; // writable bits only
	uint64_t comparator;
	uint64_t period;
};

struct hpet {
	struct dev dev;
	struct irq_hub *hub;
	struct vclock *clock;
	struct timer wake;
	uint64_t config; // enable, legacy replacement
	uint64_t status; // level-triggered timers' active interrupts
	uint64_t base; // counter = base + ticks of virtual time while enabled, else base
	uint64_t seen; // counter up to which events have been handled
	int64_t last_ns; // when the timer last ran
	struct hpet_timer timer[HPET_TIMERS];
	void (*legacy)(void *opaque, int on);
	void *opaque;
};

struct hpet_state {
	uint32_t version;
	uint64_t config, status, counter, seen;
	uint64_t timer_config[HPET_TIMERS], comparator[HPET_TIMERS], period[HPET_TIMERS];
};

// loop may be NULL with a manual clock.
struct hpet *hpet_create(struct irq_hub *hub, struct vclock *clock, struct loop *loop);
void hpet_destroy(struct hpet *h);
void hpet_reset(struct hpet *h);
void hpet_save(struct hpet *h, struct hpet_state *ret);
int hpet_load(struct hpet *h, const struct hpet_state *state);
// Told when legacy replacement routing begins and ends: timers 0 and 1 take GSIs 0 and 8, whose
// owners must fall silent. Called with the HPET's lock held; it may take the PIT's and the RTC's.
void hpet_set_legacy(struct hpet *h, void (*legacy)(void *opaque, int on), void *opaque);

#endif
