// SPDX-License-Identifier: Apache-2.0
// Ranges at many places: moved while another CPU reads, over one another, over memory and chips.
#include "tests.h"

#define STEP 0x10000u
#define MOVES 400

void many_places(void)
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

void moves_under_load(void)
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

void over_each_other(void)
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

void over_ram(void)
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

void over_the_chips(void)
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
