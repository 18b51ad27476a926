/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that all tests share, and the tests of the other files. */
#ifndef GUEST_PCI_TESTS_H
#define GUEST_PCI_TESTS_H

#include "guest.h"
#include "pci.h"

#define ECAM 0xe0000000u
#define FIRST (5 << 3)
#define LARGE (5 << 3 | 3)
#define OTHER (6 << 3)
#define TESTDEV 0x00051b36u

/* Header of pci-testdev's ranges */
#define HDR_TEST 0
#define HDR_OFFSET 4
#define HDR_DATA 8
#define HDR_COUNT 12
#define HDR_NAME 16

#define FREE_PLACE 0xd0000000u /* 16 MiB here belong to nobody */

static inline u32 ecam_read(u32 devfn, u32 offset)
{
	return read32(ECAM + (devfn << 12) + offset);
}

static inline void ecam_write(u32 devfn, u32 offset, u32 v)
{
	write32(ECAM + (devfn << 12) + offset, v);
}

static inline void decode(u32 devfn, u16 what)
{
	pci_write16(devfn, PCI_COMMAND, what);
}

static inline u32 memory_at(u32 devfn)
{
	return pci_read(devfn, PCI_BAR0) & ~15u;
}

static inline u16 ports_at(u32 devfn)
{
	return (u16)(pci_read(devfn, PCI_BAR0 + 4) & ~3u);
}

/* windows.c: configuration space by its two windows. */
void both_windows_agree(void);
void functions_of_a_slot(void);
void odd_widths(void);
void out_of_range(void);
void reset_port(void);

/* places.c: ranges that are moved, also where they cannot be. */
void many_places(void);
void moves_under_load(void);
void over_each_other(void);
void over_ram(void);
void over_the_chips(void);
#endif
