// SPDX-License-Identifier: Apache-2.0
// Keyboard controller: as much as a kernel's probe asks of it.
#include "guest.h"

#define DATA 0x60
#define STATUS 0x64
#define FULL_OUT 1
#define FULL_IN 2
#define SLOW_MS 3000

static void flush(void)
{
	u32 i;

	for (i = 0; i < 64 && (inb(STATUS) & FULL_OUT); i++)
		inb(DATA);
}

static void command(u8 v)
{
	check(WAIT_FOR(!(inb(STATUS) & FULL_IN), SLOW_MS));
	outb(STATUS, v);
}

static u8 answer(void)
{
	check(WAIT_FOR(inb(STATUS) & FULL_OUT, SLOW_MS));
	return inb(DATA);
}

static void self_test(void)
{
	check(inb(STATUS) != 0xff);
	flush();
	command(0xaa);
	check_equal(answer(), 0x55);
}

static void port_test(void)
{
	flush();
	command(0xab);
	check_equal(answer(), 0);
}

static void command_byte(void)
{
	u8 old;

	flush();
	command(0x20);
	old = answer();
	command(0x60);
	check(WAIT_FOR(!(inb(STATUS) & FULL_IN), SLOW_MS));
	outb(DATA, (u8)((old & ~3) | 0x10)); // no interrupts, keyboard off
	command(0x20);
	check_equal(answer() & 0x13, 0x10);
	command(0x60);
	outb(DATA, old);
}

static void keyboard_enable_disable(void)
{
	flush();
	command(0xad);
	command(0x20);
	check(answer() & 0x10);
	command(0xae);
	command(0x20);
	check(!(answer() & 0x10));
}

static void empty_after_reading(void)
{
	flush();
	check(!(inb(STATUS) & FULL_OUT));
}

const struct test tests[] = {
	{ "self-test", self_test },
	{ "port-test", port_test },
	{ "command-byte", command_byte },
	{ "keyboard-enable-disable", keyboard_enable_disable },
	{ "empty-after-reading", empty_after_reading },
	{},
};
