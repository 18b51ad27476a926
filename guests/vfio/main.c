// SPDX-License-Identifier: Apache-2.0
// A device of the host: registers, DMA, interrupts, and what a guest may do to it.
#include "edu.h"

u32 devfn;
u64 regs;

static u8 ours[2 * BUFFER_SIZE] __attribute__((aligned(4096)));

bool edu_open(void)
{
	devfn = pci_find(VENDOR, DEVICE);
	irq_begin();
	check(devfn != PCI_NONE);
	if (devfn == PCI_NONE)
		return false;
	pci_write16(devfn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	regs = pci_bar(devfn, 0);
	return true;
}

bool edu_answers(u64 at)
{
	static u32 last = 0x1234567;

	last += 0x1010101;
	write32(at + LIVENESS, last);
	return read32(at + LIVENESS) == ~last;
}

void registers(void)
{
	if (!edu_open())
		return;
	check_equal(edu_read(ID) & 0xff, 0xed);
	check(edu_answers(regs));
	edu_write(FACTORIAL, 10);
	check(WAIT_FOR(!(edu_read(STATUS) & COMPUTING), SLOW_MS));
	check_equal(edu_read(FACTORIAL), 3628800);
	check_equal(pci_read(devfn, 0), DEVICE << 16 | VENDOR);
}

static void transfer(u64 source, u64 target, u32 command)
{
	write64(regs + DMA_SOURCE, source);
	write64(regs + DMA_TARGET, target);
	write64(regs + DMA_COUNT, BUFFER_SIZE);
	write64(regs + DMA_COMMAND, START | command);
	check(WAIT_FOR(!(edu_read(DMA_COMMAND) & START), SLOW_MS));
}

static void fill(void)
{
	u32 i;

	for (i = 0; i < BUFFER_SIZE; i++)
		ours[i] = (u8)(i * 7 + (i >> 8));
	memset(ours + BUFFER_SIZE, 0, BUFFER_SIZE);
}

void dma_both_ways(void)
{
	if (!edu_open())
		return;
	fill();
	transfer((u64)ours, BUFFER, 0);
	transfer(BUFFER, (u64)ours + BUFFER_SIZE, FROM_DEVICE);
	barrier();
	check(!memcmp(ours, ours + BUFFER_SIZE, BUFFER_SIZE));
}

void dma_without_bus_master(void)
{
	if (!edu_open())
		return;
	fill();
	pci_write16(devfn, PCI_COMMAND, PCI_COMMAND_MEMORY);
	transfer(BUFFER, (u64)ours + BUFFER_SIZE, FROM_DEVICE);
	barrier();
	check(all_zero(ours + BUFFER_SIZE, BUFFER_SIZE));
	pci_write16(devfn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

const struct test tests[] = {
	{ "registers", registers },
	{ "dma-both-ways", dma_both_ways },
	{ "dma-without-bus-master", dma_without_bus_master },
	{ "moves", moves },
	{ "over-ram", over_ram },
	{ "decoding-off", decoding_off },
	{ "msi-arrives", msi_arrives },
	{ "msi-masked", msi_masked },
	{ "msi-storm", msi_storm },
	{ "intx-line", intx_line },
	{ "intx-until-served", intx_until_served },
	{ "intx-disabled", intx_disabled },
	{ "intx-storm", intx_storm },
	{ "over-another", over_another },
	{ "beyond-the-table", beyond_the_table },
	{ "random-config", random_config },
	{ "forever", forever },
	{},
};
