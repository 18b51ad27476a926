// SPDX-License-Identifier: Apache-2.0
#include "cpu.h"
#include "pci.h"

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE 0x80000000u
#define BAR_64 4

static void select(u32 devfn, u32 offset)
{
	outl(ADDRESS, ENABLE | devfn << 8 | (offset & 0xfc));
}

u32 pci_read(u32 devfn, u32 offset)
{
	select(devfn, offset);
	return inl(DATA);
}

u8 pci_read8(u32 devfn, u32 offset)
{
	select(devfn, offset);
	return inb((u16)(DATA + (offset & 3)));
}

u16 pci_read16(u32 devfn, u32 offset)
{
	select(devfn, offset);
	return inw((u16)(DATA + (offset & 2)));
}

void pci_write(u32 devfn, u32 offset, u32 v)
{
	select(devfn, offset);
	outl(DATA, v);
}

void pci_write16(u32 devfn, u32 offset, u16 v)
{
	select(devfn, offset);
	outw((u16)(DATA + (offset & 2)), v);
}

u32 pci_find(u16 vendor, u16 device)
{
	u32 devfn;

	for (devfn = 0; devfn < 256; devfn++)
		if (pci_read(devfn, 0) == ((u32)device << 16 | vendor))
			return devfn;
	return PCI_NONE;
}

u32 pci_capability(u32 devfn, u8 id)
{
	u32 at = pci_read8(devfn, PCI_CAPABILITIES) & 0xfc;
	u32 left;

	for (left = 48; at && left; left--) {
		if (pci_read8(devfn, at) == id)
			return at;
		at = pci_read8(devfn, at + 1) & 0xfc;
	}
	return 0;
}

u64 pci_bar(u32 devfn, u32 n)
{
	u32 low = pci_read(devfn, PCI_BAR0 + 4 * n);
	u64 high = low & BAR_64 ? pci_read(devfn, PCI_BAR0 + 4 * n + 4) : 0;

	return high << 32 | (low & ~15u);
}
