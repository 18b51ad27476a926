// SPDX-License-Identifier: Apache-2.0
// A guest that means no good, with two functions of the host: the edu and a disk with MSI-X.
// Interrupts are off, so a message to anywhere is only counted.
#include "edu.h"

#define ECAM 0xe0000000ull
#define ROUNDS 3000
#define CLASSIC 256
#define WHOLE 4096
#define PAGE 4096
#define MSIX_CONTROL 2
#define MSIX_ENABLE 0x8000
#define MSIX_COUNT 0x7ff
#define MSIX_TABLE 4
#define MSIX_PBA 8
#define ENTRY 16
#define NVME_VERSION 0x08

static u8 ram[PAGE] __attribute__((aligned(4096)));
static u32 disk, version;
static u64 disk_regs;

static u32 noise(void)
{
	static u32 state = 0x2545f491;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void place_disk(u64 at)
{
	pci_write(disk, PCI_BAR0, (u32)at);
	pci_write(disk, PCI_BAR0 + 4, (u32)(at >> 32));
}

static bool disk_answers(void)
{
	return read32(disk_regs + NVME_VERSION) == version;
}

/* Both decode, at places below 4 GiB that are free; false after a failed check. */
static bool both_open(void)
{
	if (!edu_open())
		return false;
	for (disk = 0; disk < 256; disk++)
		if (disk != devfn && pci_read(disk, 0) != PCI_NONE &&
		    pci_capability(disk, PCI_CAP_MSIX))
			break;
	check(disk < 256);
	if (disk == 256)
		return false;
	disk_regs = regs ^ 0x1000000;
	place_disk(disk_regs);
	pci_write16(disk, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	version = read32(disk_regs + NVME_VERSION);
	check(version && version != 0xffffffffu);
	return true;
}

static void place_edu(u64 at)
{
	pci_write(devfn, PCI_BAR0, (u32)at);
}

/* Who was there first answers, and the other as soon as there is room. */
void over_another(void)
{
	u64 contested;

	if (!both_open())
		return;
	contested = disk_regs;
	place_edu(contested);
	check(disk_answers());
	check(!edu_answers(regs));
	check(!edu_answers(contested));
	disk_regs += 4 * SIZE;
	place_disk(disk_regs);
	check(disk_answers());
	check(edu_answers(contested));
	place_disk(contested + SIZE / 2); // into the middle
	check(edu_answers(contested));
	check_equal(read32(disk_regs + NVME_VERSION), 0xffffffffu);
	place_edu(regs);
	check(edu_answers(regs));
	disk_regs = contested + SIZE / 2;
	check(disk_answers());
	place_disk((u64)ram & ~(u64)0xffff);
	check(keeps((u64)ram));
	place_disk(disk_regs);
	check(disk_answers());
}

static u32 msix_place(u32 at, u32 which)
{
	return pci_read(disk, at + which) & ~7u;
}

/* Noise in the table, behind its last entry, and in the pending bits. */
void beyond_the_table(void)
{
	u32 at, count, i, table, pending;

	if (!both_open())
		return;
	at = pci_capability(disk, PCI_CAP_MSIX);
	count = (pci_read16(disk, at + MSIX_CONTROL) & MSIX_COUNT) + 1;
	table = msix_place(at, MSIX_TABLE);
	pending = msix_place(at, MSIX_PBA);
	check_equal(pci_read(disk, at + MSIX_TABLE) & 7, 0);
	check(count * ENTRY < PAGE);
	pci_write16(disk, at + MSIX_CONTROL, MSIX_ENABLE);
	for (i = 0; i < PAGE; i += 4) {
		write32(disk_regs + table + i, noise());
		write32(disk_regs + pending + i, noise());
	}
	for (i = 0; i < PAGE; i += 8)
		write64(disk_regs + table + (i ^ 8), (u64)noise() << 32 | noise());
	for (i = count * ENTRY; i < PAGE; i += ENTRY) { // as if there were more entries
		write32(disk_regs + table + i, 0xfee00000u | apic_id() << 12);
		write32(disk_regs + table + i + 4, 0);
		write32(disk_regs + table + i + 8, VEC);
		write32(disk_regs + table + i + 12, 0);
		write8(disk_regs + table + i + 1, 1);
	}
	for (i = 0; i < count * ENTRY; i += ENTRY) {
		write32(disk_regs + table + i, 0xfee12340u);
		check_equal(read32(disk_regs + table + i), 0xfee12340u);
	}
	pci_write16(disk, at + MSIX_CONTROL, 0);
	irq_drain();
	check_equal(irq_total, 0);
	check(disk_answers());
	check(edu_answers(regs));
	check(keeps((u64)ram));
}

static void write_config(u32 function, u32 offset, u32 v)
{
	write32(ECAM + function * WHOLE + offset, v);
}

static void all_config(u32 function, u32 v)
{
	u32 i;

	for (i = 0; i < WHOLE; i += 4)
		write_config(function, i, v);
}

static void noise_in(u32 function)
{
	u32 i, offset, identity = pci_read(function, 0);

	for (i = 0; i < ROUNDS; i++) {
		offset = noise() % (noise() & 1 ? WHOLE : CLASSIC) & ~3u;
		write_config(function, offset, noise());
		pci_write(function, noise() % CLASSIC & ~3u, noise());
	}
	all_config(function, 0xffffffffu);
	all_config(function, 0);
	check_equal(pci_read(function, 0), identity);
}

void random_config(void)
{
	if (!both_open())
		return;
	noise_in(devfn);
	noise_in(disk);
	place_disk(disk_regs);
	pci_write16(disk, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	place_edu(regs);
	pci_write16(devfn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check(disk_answers());
	check(edu_answers(regs));
	check(keeps((u64)ram));
}
