// SPDX-License-Identifier: Apache-2.0
// Where the registers answer, and configuration space in the hands of a guest that means no good.
#include "edu.h"

#define ROUNDS 3000
#define CONFIG_SIZE 256

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

/* Whether RAM where `at` is keeps what is written there. */
static bool is_ram(u64 at)
{
	write32(at, 0x5a5a1234);
	return read32(at) == 0x5a5a1234;
}

void over_ram(void)
{
	u64 home;

	if (!edu_open())
		return;
	home = regs;
	place((u64)ram & ~(u64)(SIZE - 1));
	check(is_ram((u64)ram));
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

static u32 noise(void)
{
	static u32 state = 0x2545f491;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Interrupts are off, so a message to anywhere is only counted. */
void random_config(void)
{
	u32 i;

	if (!edu_open())
		return;
	for (i = 0; i < ROUNDS; i++)
		pci_write(devfn, noise() % CONFIG_SIZE & ~3u, noise());
	for (i = 0; i < CONFIG_SIZE; i += 4)
		pci_write(devfn, i, 0xffffffffu);
	for (i = 0; i < CONFIG_SIZE; i += 4)
		pci_write(devfn, i, 0);
	check_equal(pci_read(devfn, 0), DEVICE << 16 | VENDOR);
	place(regs);
	pci_write16(devfn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check(edu_answers(regs));
	check(is_ram((u64)ram));
}

void forever(void)
{
	if (!edu_open())
		return;
	printf("edu is at work\n");
	for (;;)
		check(edu_answers(regs));
}
