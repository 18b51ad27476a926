// SPDX-License-Identifier: Apache-2.0
// The two devices behind an i8042: a keyboard on which nobody types and a mouse that nobody moves.
// They answer every command a driver probes with, so that it need not wait for time-outs.
#ifndef VMM_PS2_H
#define VMM_PS2_H

#include "base.h"

#define PS2_QUEUE 8

struct ps2 {
	bool mouse;
	bool reporting; // F4, and not F5 since
	uint8_t argument_of; // command that waits for its argument, 0 for none
	uint8_t scan_set; // keyboard: 1 to 3
	uint8_t resolution, rate, flags; // mouse: as E9 reports them
	uint8_t last; // byte sent last, for FE
	uint8_t head, count;
	uint8_t queue[PS2_QUEUE]; // bytes on their way to the controller
};

void ps2_reset(struct ps2 *p, bool mouse);
// A byte from the controller. A command discards what is still queued.
void ps2_write(struct ps2 *p, uint8_t byte);
// Takes the next byte; -1 if there is none.
int ps2_take(struct ps2 *p);

#endif
