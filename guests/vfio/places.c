// SPDX-License-Identifier: Apache-2.0
// Where the registers answer.
#include "edu.h"

static u8 ram[2 * 4096] __attribute__((aligned(4096)));

static void place(u64 at)
{
	pci_write(devfn, PCI_BAR0, (u32)at);
}

void moves(void)
{
	u64 first, second;

	if (!edu_open())
		return;
	first = regs;
	second = regs ^ 0x1000000;
	place(second);
	check(edu_answers(second));
	check(!edu_answers(first));
	place(first);
	check(edu_answers(first));
	check(!edu_answers(second));
}

void over_ram(void)
{
	u64 home;

	if (!edu_open())
		return;
	home = regs;
	place((u64)ram & ~(u64)(SIZE - 1));
	check(keeps((u64)ram));
	check(!edu_answers(home));
	place(0xfec00000u); // the I/O APIC
	check(ioapic_pins() >= 24);
	place(0xfee00000u);
	check_equal(apic_read(APIC_ID) >> 24, apic_id());
	place(home);
	check(edu_answers(home));
}

void decoding_off(void)
{
	if (!edu_open())
		return;
	pci_write16(devfn, PCI_COMMAND, 0);
	check_equal(edu_read(ID), 0xffffffffu);
	edu_write(LIVENESS, 5);
	pci_write16(devfn, PCI_COMMAND, PCI_COMMAND_MEMORY);
	check(edu_answers(regs));
}

void forever(void)
{
	if (!edu_open())
		return;
	printf("edu is at work\n");
	for (;;)
		check(edu_answers(regs));
}
