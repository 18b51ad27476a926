// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI bus by both of its windows, and base address registers that are sized, moved under load
 * and put where they cannot be. Needs pci-testdev in slot 5 as function 0 and, with a range of 1
 * GiB, as function 3, and in slot 6; two CPUs.
 */
#include "tests.h"

#define RINGS 16

static u32 size_of(u32 devfn, u32 n)
{
	u32 before = pci_read(devfn, PCI_BAR0 + 4 * n), sized;

	pci_write(devfn, PCI_BAR0 + 4 * n, 0xffffffff);
	sized = pci_read(devfn, PCI_BAR0 + 4 * n);
	pci_write(devfn, PCI_BAR0 + 4 * n, before);
	return -(sized & (sized & 1 ? ~3u : ~15u));
}

static void sizes(void)
{
	decode(FIRST, 0);
	decode(LARGE, 0);
	check_equal(size_of(FIRST, 0), 4096);
	check_equal(size_of(FIRST, 1), 256);
	check_equal(size_of(FIRST, 2), 0);
	check_equal(size_of(LARGE, 2), 1u << 30);
	check_equal(pci_read(LARGE, PCI_BAR0 + 8) & 15, 12); // 64 bits, prefetchable
	check(pci_read(LARGE, PCI_BAR0 + 12)); // above 4 GiB
	ecam_write(LARGE, PCI_BAR0 + 12, 0xffffffff);
	check_equal(ecam_read(LARGE, PCI_BAR0 + 12), 0xffffffff);
}

static void decoding_switches(void)
{
	u32 at = memory_at(FIRST);
	u16 port = ports_at(FIRST);

	decode(FIRST, PCI_COMMAND_MEMORY);
	write8(at, 0);
	check_equal(read8(at + HDR_DATA), 0xfa);
	check_equal(inb(port + HDR_DATA), 0xff);
	decode(FIRST, PCI_COMMAND_IO);
	check_equal(read8(at + HDR_DATA), 0xff);
	check_equal(inb(port + HDR_DATA), 0xfa);
	decode(FIRST, 0);
	check_equal(inb(port + HDR_DATA), 0xff);
	decode(FIRST, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
}

/* Rings where the chosen test says; how often the device saw it. */
static u32 ring(u32 at, u16 port, u32 test)
{
	u32 i;

	if (at) {
		write8(at, (u8)test);
		for (i = 0; i < RINGS; i++)
			write8(at + read32(at + HDR_OFFSET), read8(at + HDR_DATA));
		return read32(at + HDR_COUNT);
	}
	outb(port, (u8)test);
	for (i = 0; i < RINGS; i++)
		outb((u16)(port + inl(port + HDR_OFFSET)), inb(port + HDR_DATA));
	return inl(port + HDR_COUNT);
}

/* Test 0 reaches the device; the others become counts of eventfds, which the host looks at. */
static void rings(u32 at, u16 port)
{
	check_equal(ring(at, port, 0), RINGS);
	check_equal(ring(at, port, 1), 0);
	check_equal(ring(at, port, 2), 0);
}

static void doorbells(void)
{
	rings(memory_at(FIRST), 0);
	rings(0, ports_at(FIRST));
}

static void doorbells_move_along(void)
{
	u32 home = memory_at(FIRST);

	pci_write(FIRST, PCI_BAR0, FREE_PLACE);
	rings(FREE_PLACE, 0);
	pci_write(FIRST, PCI_BAR0 + 4, 0xe000);
	rings(0, 0xe000);
	write8(FREE_PLACE + 2048 + 2, 0x11); // not the value of the doorbell there
	check_equal(read32(FREE_PLACE + HDR_COUNT), 0);
	pci_write(FIRST, PCI_BAR0, home);
}

const struct test tests[] = {
	{ "both-windows-agree", both_windows_agree },
	{ "functions-of-a-slot", functions_of_a_slot },
	{ "odd-widths", odd_widths },
	{ "out-of-range", out_of_range },
	{ "reset-port", reset_port },
	{ "sizes", sizes },
	{ "decoding-switches", decoding_switches },
	{ "doorbells", doorbells },
	{ "doorbells-move-along", doorbells_move_along },
	{ "many-places", many_places },
	{ "moves-under-load", moves_under_load },
	{ "over-each-other", over_each_other },
	{ "over-ram", over_ram },
	{ "over-the-chips", over_the_chips },
	{},
};
