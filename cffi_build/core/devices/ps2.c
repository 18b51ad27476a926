// SPDX-License-Identifier: Apache-2.0
#include "ps2.h"

enum {
	ACK = 0xfa,
	ECHO = 0xee,
	SELF_TEST_PASSED = 0xaa,
	RESEND = 0xfe, // also: command not understood

	// Commands of both
	CMD_RESET = 0xff,
	CMD_RESEND = 0xfe,
	CMD_DEFAULTS = 0xf6,
	CMD_DISABLE = 0xf5,
	CMD_ENABLE = 0xf4,
	CMD_RATE = 0xf3, // takes an argument
	CMD_ID = 0xf2,
	// Keyboard
	CMD_LEDS = 0xed, // takes an argument
	CMD_ECHO = 0xee,
	CMD_SCAN_SET = 0xf0, // takes an argument
	CMD_ALL_KEYS = 0xf7, // to 0xfa
	// Mouse
	CMD_SCALING_1 = 0xe6,
	CMD_SCALING_2 = 0xe7,
	CMD_RESOLUTION = 0xe8, // takes an argument
	CMD_STATUS = 0xe9,
	CMD_STREAM = 0xea,
	CMD_READ = 0xeb,
	CMD_REMOTE = 0xf0,

	MOUSE_SCALING_2 = 1 << 4,
	MOUSE_REPORTING = 1 << 5,
	MOUSE_REMOTE = 1 << 6,
};

static void defaults(struct ps2 *p)
{
	p->reporting = false;
	p->scan_set = 2;
	p->resolution = 2; // 4 counts per millimetre
	p->rate = 100;
	p->flags = 0;
}

void ps2_reset(struct ps2 *p, bool mouse)
{
	*p = (struct ps2){ .mouse = mouse };
	defaults(p);
}

static void put(struct ps2 *p, uint8_t byte)
{
	if (p->count < PS2_QUEUE)
		p->queue[(p->head + p->count++) % PS2_QUEUE] = byte;
}

int ps2_take(struct ps2 *p)
{
	if (!p->count)
		return -1;
	p->last = p->queue[p->head];
	p->head = (uint8_t)((p->head + 1) % PS2_QUEUE);
	p->count--;
	return p->last;
}

static void argument(struct ps2 *p, uint8_t command, uint8_t byte)
{
	put(p, ACK);
	if (p->mouse && command == CMD_RATE)
		p->rate = byte;
	else if (p->mouse && command == CMD_RESOLUTION)
		p->resolution = byte & 3;
	else if (!p->mouse && command == CMD_SCAN_SET && !byte)
		put(p, p->scan_set);
	else if (!p->mouse && command == CMD_SCAN_SET && byte <= 3)
		p->scan_set = byte;
}

// Commands that only the keyboard knows. False: not understood.
static bool keyboard_command(struct ps2 *p, uint8_t byte)
{
	switch (byte) {
	case CMD_ECHO:
		put(p, ECHO);
		return true;
	case CMD_ID:
		put(p, ACK);
		put(p, 0xab);
		put(p, 0x83);
		return true;
	case CMD_LEDS:
	case CMD_SCAN_SET:
		p->argument_of = byte;
		put(p, ACK);
		return true;
	}
	if (byte < CMD_ALL_KEYS || byte > CMD_ALL_KEYS + 3)
		return false;
	put(p, ACK);
	return true;
}

static void mouse_report(struct ps2 *p, uint8_t a, uint8_t b, uint8_t c)
{
	put(p, a);
	put(p, b);
	put(p, c);
}

static bool mouse_command(struct ps2 *p, uint8_t byte)
{
	put(p, ACK);
	switch (byte) {
	case CMD_ID:
		put(p, 0); // two buttons, no wheel
		return true;
	case CMD_RESOLUTION:
		p->argument_of = byte;
		return true;
	case CMD_STATUS:
		mouse_report(p, p->flags | (p->reporting ? MOUSE_REPORTING : 0), p->resolution,
			     p->rate);
		return true;
	case CMD_READ:
		mouse_report(p, 1 << 3, 0, 0); // has not moved
		return true;
	case CMD_SCALING_1:
		p->flags &= (uint8_t)~MOUSE_SCALING_2;
		return true;
	case CMD_SCALING_2:
		p->flags |= MOUSE_SCALING_2;
		return true;
	case CMD_STREAM:
		p->flags &= (uint8_t)~MOUSE_REMOTE;
		return true;
	case CMD_REMOTE:
		p->flags |= MOUSE_REMOTE;
		return true;
	}
	p->count = 0;
	return false;
}

static void common_command(struct ps2 *p, uint8_t byte)
{
	put(p, ACK);
	switch (byte) {
	case CMD_RESET:
		defaults(p);
		put(p, SELF_TEST_PASSED);
		if (p->mouse)
			put(p, 0);
		break;
	case CMD_DEFAULTS:
		defaults(p);
		break;
	case CMD_ENABLE:
	case CMD_DISABLE:
		p->reporting = byte == CMD_ENABLE;
		break;
	case CMD_RATE:
		p->argument_of = byte;
		break;
	}
}

void ps2_write(struct ps2 *p, uint8_t byte)
{
	uint8_t command = p->argument_of;

	p->argument_of = 0;
	if (command && byte != CMD_RESET) {
		argument(p, command, byte);
		return;
	}
	p->count = 0;
	switch (byte) {
	case CMD_RESET:
	case CMD_DEFAULTS:
	case CMD_ENABLE:
	case CMD_DISABLE:
	case CMD_RATE:
		common_command(p, byte);
		return;
	case CMD_RESEND:
		put(p, p->last);
		return;
	}
	if (!(p->mouse ? mouse_command(p, byte) : keyboard_command(p, byte)))
		put(p, RESEND);
}
