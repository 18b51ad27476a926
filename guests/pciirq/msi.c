// SPDX-License-Identifier: Apache-2.0
// With 64-bit addresses and masks.
#include "tests.h"

#define CONTROL 2
#define ADDRESS 4
#define DATA 12
#define MASK 16
#define PENDING 20
#define ENABLE 1u
#define FOUR (2u << 4)
#define ONE 0u

static struct function f;

static void begin(u32 count)
{
	u32 i;

	f = function_open(DEVICE_MSI, PCI_CAP_MSI);
	pci_write16(f.devfn, f.capability + CONTROL, 0);
	pci_write(f.devfn, f.capability + ADDRESS, message_address());
	pci_write(f.devfn, f.capability + ADDRESS + 4, 0);
	pci_write16(f.devfn, f.capability + DATA, VEC & ~3);
	pci_write(f.devfn, f.capability + MASK, 0);
	for (i = 0; i < VECTORS; i++)
		irq_count_on((u8)((VEC & ~3) + i));
	pci_write16(f.devfn, f.capability + CONTROL, (u16)(ENABLE | count));
}

void msi_messages(void)
{
	u32 i;

	begin(FOUR);
	for (i = 0; i < VECTORS; i++) {
		reg_write(&f, REG_FIRE, i);
		check_equal(irq_wait((u8)((VEC & ~3) + i), 1, SLOW_MS), 1);
	}
	check_equal(irq_total, VECTORS);
}

void msi_masked_pends(void)
{
	begin(FOUR);
	pci_write(f.devfn, f.capability + MASK, 1 << 1);
	reg_write(&f, REG_FIRE, 1);
	check(WAIT_FOR(pci_read(f.devfn, f.capability + PENDING) == 1 << 1, SLOW_MS));
	irq_drain();
	check_equal(irq_total, 0);
	pci_write(f.devfn, f.capability + MASK, 0);
	check_equal(irq_wait((VEC & ~3) + 1, 1, SLOW_MS), 1);
	check_equal(pci_read(f.devfn, f.capability + PENDING), 0);
}

void msi_storm(void)
{
	begin(ONE);
	storm_begin(&f, VEC & ~3);
	reg_write(&f, REG_STORM, STORM);
	check_equal(storm_wait(STORM), STORM);
	pci_write16(f.devfn, f.capability + CONTROL, 0);
}
