// SPDX-License-Identifier: Apache-2.0
// The first sign of life: a line on COM1, the same on the debug port, exit.
#include "guest.h"

static void serial(void)
{
	serial_text("hello from the guest\n");
	check(inb(COM1 + 5) & 0x20);
}

static void debugcon(void)
{
	printf("# hello from the guest, entered by protocol %u, command line \"%s\"\n", boot_kind,
	       cmdline);
	check_equal(inb(DEBUGCON), 0xe9); // how a guest finds out that the port is there
}

const struct test tests[] = {
	{ "serial", serial },
	{ "debugcon", debugcon },
	{},
};
