// SPDX-License-Identifier: Apache-2.0
// One counter of an Intel 8254, as a function of the tick clock: nothing happens between accesses.
//
// A count written takes effect at once where the chip would wait for the next clock, except in
// modes 2 and 3, where a running counter takes it at the end of its cycle, and modes 1 and 5, where
// it waits for the gate. Mode and output are those of the data sheet's chapter "Mode Definitions".
#ifndef VMM_PIT_CHANNEL_H
#define VMM_PIT_CHANNEL_H

#include "base.h"

#define PIT_NEVER UINT64_MAX

struct pit_channel {
	uint8_t mode; // 0 to 5
	uint8_t access; // 1 low byte, 2 high byte, 3 low then high
	bool bcd;
	bool gate;
	bool loaded; // a whole count was written since the control word
	bool triggered; // modes 1 and 5: the gate has risen since
	bool have_low; // access 3: the low byte of a count was written
	bool read_high; // access 3: the next byte read is the high one
	uint8_t low;
	uint8_t latched; // bytes of `latch` still to be read, as in access; 0: none
	uint16_t latch;
	bool status_latched;
	uint8_t status;
	uint32_t reload; // count in effect, 1 to 65536
	uint32_t pending; // count that will replace it, 0 for none
	uint64_t start; // tick at which the count in effect began
	uint64_t held; // ticks counted when the gate stopped it (modes 0 and 4)
};

// now: the present tick; it never decreases.
void pit_channel_reset(struct pit_channel *c, bool gate);
// A control word for this counter that is not a latch command.
void pit_channel_control(struct pit_channel *c, uint8_t word);
void pit_channel_write(struct pit_channel *c, uint8_t value, uint64_t now);
uint8_t pit_channel_read(struct pit_channel *c, uint64_t now);
void pit_channel_latch_count(struct pit_channel *c, uint64_t now);
void pit_channel_latch_status(struct pit_channel *c, uint64_t now);
void pit_channel_set_gate(struct pit_channel *c, bool gate, uint64_t now);
bool pit_channel_out(struct pit_channel *c, uint64_t now);
// The first tick after `now` at which the output rises; PIT_NEVER if nothing but an access can
// raise it.
uint64_t pit_channel_next_rise(struct pit_channel *c, uint64_t now);

#endif
