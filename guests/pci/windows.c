// SPDX-License-Identifier: Apache-2.0
// Configuration space by ports and by memory: both show the same, whatever is asked.
#include "tests.h"

#define HOST_BRIDGE 0
#define MULTI_FUNCTION 0x800000u /* in the dword at 0x0c */

#define ADDRESS 0xcf8
#define RESET_PORT 0xcf9
#define DATA 0xcfc

void both_windows_agree(void)
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

void functions_of_a_slot(void)
{
	check(pci_read(FIRST, 0x0c) & MULTI_FUNCTION);
	check(!(pci_read(OTHER, 0x0c) & MULTI_FUNCTION));
	check_equal(pci_read(FIRST + 1, 0), PCI_NONE);
	check_equal(pci_read(HOST_BRIDGE, 0x08) >> 16, 0x0600);
}

void odd_widths(void)
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

void out_of_range(void)
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

void reset_port(void)
{
	outl(ADDRESS, 0x80000000u);
	outb(RESET_PORT, 2);
	check_equal(inb(RESET_PORT), 2);
	check_equal(inl(ADDRESS), 0x80000000u);
	outb(RESET_PORT, 0);
}
