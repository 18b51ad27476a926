// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI bus by both of its windows, and base address registers that are sized, moved under load
 * and put where they cannot be. Needs pci-testdev in slot 5 as function 0 and, with a range of 1
 * GiB, as function 3, and in slot 6; two CPUs.
 */
#include "guest.h"
#include "pci.h"

#define ECAM 0xe0000000u
#define HOST_BRIDGE 0
#define FIRST (5 << 3)
#define LARGE (5 << 3 | 3)
#define OTHER (6 << 3)
#define TESTDEV 0x00051b36u
#define MULTI_FUNCTION 0x800000u /* in the dword at 0x0c */

#define ADDRESS 0xcf8
#define RESET_PORT 0xcf9
#define DATA 0xcfc

/* Header of pci-testdev's ranges */
#define HDR_TEST 0
#define HDR_OFFSET 4
#define HDR_DATA 8
#define HDR_COUNT 12
#define HDR_NAME 16
#define TESTS 3 /* plain, wildcard doorbell, doorbell for one value */
#define RINGS 16

#define FREE_PLACE 0xd0000000u /* 16 MiB here belong to nobody */
#define STEP 0x10000u
#define MOVES 400

static u32 ecam_read(u32 devfn, u32 offset)
{
	return read32(ECAM + (devfn << 12) + offset);
}

static void ecam_write(u32 devfn, u32 offset, u32 v)
{
	write32(ECAM + (devfn << 12) + offset, v);
}

static void decode(u32 devfn, u16 what)
{
	pci_write16(devfn, PCI_COMMAND, what);
}

static u32 memory_at(u32 devfn)
{
	return pci_read(devfn, PCI_BAR0) & ~15u;
}

static u16 ports_at(u32 devfn)
{
	return (u16)(pci_read(devfn, PCI_BAR0 + 4) & ~3u);
}

static void both_windows_agree(void)
{
	u32 devfn, offset, found = 0;

	for (devfn = 0; devfn < 256; devfn++) {
		check_equal(ecam_read(devfn, 0), pci_read(devfn, 0));
		if (pci_read(devfn, 0) == PCI_NONE)
			continue;
		found++;
		for (offset = 0; offset < 256; offset += 4)
			check_equal(ecam_read(devfn, offset), pci_read(devfn, offset));
	}
	check_equal(found, 4);
	check_equal(pci_read(FIRST, 0), TESTDEV);
	check_equal(pci_read(LARGE, 0), TESTDEV);
	check_equal(pci_read(OTHER, 0), TESTDEV);
}

static void functions_of_a_slot(void)
{
	check(pci_read(FIRST, 0x0c) & MULTI_FUNCTION);
	check(!(pci_read(OTHER, 0x0c) & MULTI_FUNCTION));
	check_equal(pci_read(FIRST + 1, 0), PCI_NONE);
	check_equal(pci_read(HOST_BRIDGE, 0x08) >> 16, 0x0600);
}

static void odd_widths(void)
{
	u64 at = ECAM + (FIRST << 12);

	check_equal(read8(at + 1), 0x1b);
	check_equal(read16(at + 1), 0x051b);
	check_equal(read32(at + 1) & 0xffffff, 0x00051b);
	check_equal(read64(at) & 0xffffffff, TESTDEV);
	outl(ADDRESS, 0x80000000u | FIRST << 8);
	check_equal(inb(DATA + 1), 0x1b);
	check_equal(inw(DATA + 1), 0x051b);
	check_equal(inw(DATA + 2), 0x0005);
	write8(at + 0x3c, 0x5a);
	check_equal(read8(at + 0x3c), 0x5a);
	write16(at + 0x3b, 0xa500);
	check_equal(read8(at + 0x3c), 0xa5);
	check_equal(read8(at + 0x3b), 0);
}

static void out_of_range(void)
{
	u64 at = ECAM + (FIRST << 12);

	check_equal(read32(at + 0x100), PCI_NONE); // no extended space here
	check_equal(read32(at + 0xffc), PCI_NONE);
	check_equal(read32(at + 0xffe), PCI_NONE); // half in the next function
	write32(at + 0xffe, 0);
	check_equal(read32(ECAM + 0x100000 - 4), PCI_NONE);
	outl(ADDRESS, 0x80010000u); // another bus
	check_equal(inl(DATA), PCI_NONE);
	outl(ADDRESS, 0); // not enabled
	check_equal(inl(DATA), PCI_NONE);
	outl(ADDRESS, 0xffffffffu);
	check_equal(inl(ADDRESS), 0x80fffffcu);
	check_equal(inw(ADDRESS), 0xffff);
	check_equal(inb(ADDRESS + 2), 0xff);
	outw(ADDRESS, 0x1234);
	check_equal(inl(ADDRESS), 0x80fffffcu);
}

static void reset_port(void)
{
	outl(ADDRESS, 0x80000000u);
	outb(RESET_PORT, 2);
	check_equal(inb(RESET_PORT), 2);
	check_equal(inl(ADDRESS), 0x80000000u);
	outb(RESET_PORT, 0);
}

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

static void many_places(void)
{
	u32 home = memory_at(FIRST), at = home, i;

	write8(home, 1);
	for (i = 1; i <= 16; i++) {
		pci_write(FIRST, PCI_BAR0, FREE_PLACE + i * STEP);
		check_equal(read8(at + HDR_TEST), 0xff);
		at = FREE_PLACE + i * STEP;
		check_equal(read8(at + HDR_TEST), 1);
	}
	ecam_write(FIRST, PCI_BAR0, home);
	check_equal(read8(home + HDR_TEST), 1);
}

static u32 stop, reads, seen_here[2], seen_else;

/* Each place holds the device or nobody, at any moment. */
static void ap_reads(void)
{
	u32 i, v;

	while (!READ_ONCE(stop)) {
		for (i = 0; i < 2; i++) {
			v = read32(FREE_PLACE + i * STEP + HDR_NAME);
			if (v == 0x6f696d6d) // "mmio"
				seen_here[i]++;
			else if (v != 0xffffffff)
				seen_else++;
		}
		WRITE_ONCE(reads, reads + 1);
	}
}

static void moves_under_load(void)
{
	u32 home = memory_at(FIRST), i;

	write8(home, 0);
	check_equal(read32(home + HDR_NAME), 0x6f696d6d);
	smp_start(ap_reads);
	check(smp_wait(2, 10000));
	for (i = 0; i < MOVES; i++)
		pci_write(FIRST, PCI_BAR0, FREE_PLACE + (i & 1) * STEP);
	check(WAIT_FOR(READ_ONCE(seen_here[1]), 10000));
	pci_write(FIRST, PCI_BAR0, FREE_PLACE);
	check(WAIT_FOR(READ_ONCE(seen_here[0]), 10000));
	WRITE_ONCE(stop, 1);
	printf("# %u reads, %u and %u found the device\n", reads, seen_here[0], seen_here[1]);
	check_equal(seen_else, 0);
	pci_write(FIRST, PCI_BAR0, home);
}

static void over_each_other(void)
{
	u32 mine = memory_at(FIRST), its = memory_at(OTHER);

	write8(mine, 1);
	write8(its, 2);
	pci_write(FIRST, PCI_BAR0, its);
	check_equal(pci_read(FIRST, PCI_BAR0), its);
	check_equal(read8(its + HDR_TEST), 2);
	pci_write(OTHER, PCI_BAR0, mine);
	check_equal(read8(its + HDR_TEST), 1);
	check_equal(read8(mine + HDR_TEST), 2);
	pci_write(FIRST, PCI_BAR0, mine); // taken
	pci_write(OTHER, PCI_BAR0, its);
	check_equal(read8(mine + HDR_TEST), 1);
	check_equal(read8(its + HDR_TEST), 2);
}

static u8 page[4096] __attribute__((aligned(4096)));

static void over_ram(void)
{
	u32 home = memory_at(FIRST), i;

	memset(page, 0x77, sizeof(page));
	pci_write(FIRST, PCI_BAR0, (u32)(u64)page);
	check_equal(pci_read(FIRST, PCI_BAR0), (u64)page);
	for (i = 0; i < sizeof(page); i++)
		check_equal(READ_ONCE(page[i]), 0x77);
	WRITE_ONCE(page[0], 1);
	pci_write(FIRST, PCI_BAR0, home);
	check_equal(READ_ONCE(page[0]), 1);
	check_equal(read8(home), 1);
}

static void over_the_chips(void)
{
	static const u32 chips[] = { 0xfee00000, IOAPIC_BASE, ECAM, 0xfffff000, 0 };
	u32 home = memory_at(FIRST), version = apic_read(APIC_VERSION), io = ioapic_read(1), i;

	for (i = 0; i < ARRAY_SIZE(chips); i++) {
		pci_write(FIRST, PCI_BAR0, chips[i]);
		check_equal(apic_read(APIC_VERSION), version);
		check_equal(ioapic_read(1), io);
		check_equal(ecam_read(FIRST, PCI_BAR0), chips[i]);
	}
	pci_write(FIRST, PCI_BAR0 + 4, 0xcf8 & ~255u);
	check_equal(pci_read(FIRST, 0), TESTDEV);
	pci_write(FIRST, PCI_BAR0, home);
	pci_write(FIRST, PCI_BAR0 + 4, 0xe000);
	check_equal(read8(home + HDR_DATA), 0xce);
	check_equal(inb(0xe000 + HDR_DATA), 0xce);
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
