// SPDX-License-Identifier: Apache-2.0
/*
 * PCI devices that come and go, without an operating system: does what the DSDT's methods do.
 * Command line: cycles=N, how often a pci-testdev comes to some slot and is asked for again.
 */
#include "guest.h"
#include "pci.h"

#define CAME 0x630
#define SHALL_GO 0x634
#define EJECT 0x638
#define TESTDEV 0x00051b36u
#define SLOW_MS 60000

static u32 bits;

static u32 slot_in(u16 port)
{
	bits = 0;
	check(WAIT_FOR((bits |= inl(port)) != 0, SLOW_MS));
	return (u32)__builtin_ctz(bits | 1u << 31);
}

static void use(u32 devfn)
{
	u32 at = pci_read(devfn, PCI_BAR0) & ~15u;

	check_equal(pci_read(devfn, 0), TESTDEV);
	write8(at, 1);
	check_equal(read8(at), 1);
	check_equal(read8(at + 8), 0xce);
}

static void nothing_before(void)
{
	check_equal(inl(CAME), 0);
	check_equal(inl(SHALL_GO), 0);
	outl(EJECT, 0xffffffff); // there is only the host bridge, which stays
	check_equal(pci_read(0, 0), 0x00081b36);
}

static void come_and_go(void)
{
	u32 left = (u32)arg_u64("cycles", 10), slot;

	for (; left; left--) {
		slot = slot_in(CAME);
		check_equal(bits, 1u << slot);
		use(slot << 3);
		check_equal(slot_in(SHALL_GO), slot);
		check_equal(bits, 1u << slot);
		outl(EJECT, bits);
		// The next instruction finds it gone.
		check_equal(pci_read(slot << 3, 0), PCI_NONE);
	}
}

const struct test tests[] = {
	{ "nothing-before", nothing_before },
	{ "come-and-go", come_and_go },
	{},
};
