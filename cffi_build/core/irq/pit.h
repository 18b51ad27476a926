// SPDX-License-Identifier: Apache-2.0
// An Intel 8254 interval timer and port 0x61, for the split irqchip and for Xen guests. (Others
// have the kernel's own with the in-kernel irqchip.)
//
// Counter 0 drives GSI 0. Ticks that come while an earlier one waits are lost: nothing is
// re-injected, so a guest that was held up sees fewer ticks, as a guest with a tickless clock wants
// it. Periods below PIT_MIN_IRQ_NS are merged, so that no guest can keep the host busy.
#ifndef VMM_PIT_H
#define VMM_PIT_H

#include "dev.h"
#include "irq.h"
#include "pit_channel.h"
#include "timer.h"

#define PIT_HZ 1193182
#define PIT_MIN_IRQ_NS 100000

enum pit_region {
	PIT_COUNTERS, // 4 bytes at 0x40: three counters, control word
	PIT_PORT61, // 1 byte: gate and output of counter 2, refresh toggle
};

enum {
	PIT_CHANNELS = 3,
	PIT_STATE_VERSION = 1,
};

struct pit {
	struct dev dev;
	struct irq_line line;
	struct vclock *clock;
	struct timer timer;
	bool irq_off; // HPET legacy replacement owns the interrupt
	bool count2_hidden; // counter 2 reads as zero
	struct pit_channel channel[PIT_CHANNELS];
	uint8_t port61; // bits 0 to 3 as written
	uint64_t due; // tick of the next interrupt, PIT_NEVER for none
	int64_t last_ns; // when the last one was given
};

struct pit_state {
	uint32_t version;
	uint8_t mode[PIT_CHANNELS], access[PIT_CHANNELS], bcd[PIT_CHANNELS], gate[PIT_CHANNELS];
	uint8_t loaded[PIT_CHANNELS], triggered[PIT_CHANNELS];
	uint8_t have_low[PIT_CHANNELS], read_high[PIT_CHANNELS], low[PIT_CHANNELS];
	uint8_t latched[PIT_CHANNELS], status_latched[PIT_CHANNELS], status[PIT_CHANNELS];
	uint16_t latch[PIT_CHANNELS];
	uint32_t reload[PIT_CHANNELS], pending[PIT_CHANNELS];
	uint64_t start[PIT_CHANNELS], held[PIT_CHANNELS];
	uint8_t port61, line;
};

static inline uint64_t pit_ticks(int64_t ns)
{
	return ns < 0 ? 0 : (uint64_t)((unsigned __int128)ns * PIT_HZ / 1000000000u);
}

// The first moment, in ns of virtual time, at which pit_ticks() gives `ticks`.
static inline int64_t pit_ns(uint64_t ticks)
{
	return (int64_t)(((unsigned __int128)ticks * 1000000000u + PIT_HZ - 1) / PIT_HZ);
}

// loop may be NULL with a manual clock.
struct pit *pit_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock, struct loop *loop);
void pit_destroy(struct pit *p);
// Counters wait for their control words, outputs low.
void pit_reset(struct pit *p);
void pit_save(struct pit *p, struct pit_state *ret);
int pit_load(struct pit *p, const struct pit_state *state);
// For good: the count of counter 2 reads as zero, its output in port 0x61 is as ever. A kernel that
// would measure the TSC by that count, in 10 to 25 ms, sees at once that it cannot. Before any vCPU
// runs.
void pit_hide_count2(struct pit *p);
// HPET legacy replacement takes the line away and gives it back.
void pit_set_irq_off(struct pit *p, bool off);

#endif
