// SPDX-License-Identifier: Apache-2.0
// The keyboard controller of a PC: Intel 8042 with PS/2 keyboard and mouse, ports 0x60 and 0x64.
//
// Answers are there at once, so the input buffer is never full. Lines: keyboard and mouse
// interrupts are high while a byte for them waits and the command byte allows it. Pulsing or
// writing 0 to output port bit 0 resets the machine; address line 20 is never masked, its bit is
// only remembered.
#ifndef VMM_I8042_H
#define VMM_I8042_H

#include "dev.h"
#include "irq.h"
#include "ps2.h"

enum i8042_region {
	I8042_DATA, // 1 byte
	I8042_COMMAND, // 1 byte: command, status
};

enum {
	I8042_STATE_VERSION = 1,
	I8042_RAM = 32,
};

// Status register.
enum {
	I8042_OUT_FULL = 1 << 0,
	I8042_SYSTEM = 1 << 2,
	I8042_WAS_COMMAND = 1 << 3,
	I8042_UNLOCKED = 1 << 4,
	I8042_MOUSE_OUT_FULL = 1 << 5,
	I8042_STATUS_BITS = I8042_OUT_FULL | I8042_SYSTEM | I8042_WAS_COMMAND | I8042_UNLOCKED |
			    I8042_MOUSE_OUT_FULL,

	I8042_WRITE_RAM = 0x60, // command, to 0x7f, with data
	I8042_WRITE_OUTPUT = 0xd1, // ... and to 0xd4
	I8042_TO_MOUSE = 0xd4,
};

struct i8042 {
	struct dev dev;
	struct irq_line keyboard_irq, mouse_irq;
	struct ps2 keyboard, mouse;
	uint8_t ram[I8042_RAM]; // byte 0 is the command byte
	uint8_t status;
	uint8_t out; // output buffer
	uint8_t reply; // the controller's own answer, before anything of the devices
	bool have_reply;
	bool reply_from_mouse; // answer to the loop-back command
	uint8_t command; // one that waits for its data byte, 0 for none
	bool a20;
};

struct i8042_state {
	uint32_t version;
	uint8_t status, out, reply, have_reply, reply_from_mouse, command, a20;
	uint8_t ram[I8042_RAM];
	// Keyboard, mouse
	uint8_t reporting[2], argument_of[2], scan_set[2], resolution[2], rate[2], flags[2],
		last[2];
	uint8_t count[2];
	uint8_t keyboard_queue[PS2_QUEUE], mouse_queue[PS2_QUEUE]; // oldest first
};

struct i8042 *i8042_create(struct irq_hub *hub, uint32_t keyboard_gsi, uint32_t mouse_gsi);
void i8042_destroy(struct i8042 *k);
void i8042_reset(struct i8042 *k);
void i8042_save(struct i8042 *k, struct i8042_state *ret);
int i8042_load(struct i8042 *k, const struct i8042_state *state);

// Moves the next waiting byte into the output buffer if that is empty, and sets the lines.
// Context: device lock held (i8042_load()).
void i8042_update(struct i8042 *k);

#endif
