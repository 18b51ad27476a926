// SPDX-License-Identifier: Apache-2.0
#include "tests.h"

#define CONTROL 2
#define ENABLE (1u << 15)
#define MASK_ALL (1u << 14)
#define MASKED 1

static struct function f;

static void vector_mask(u32 vector, u32 masked)
{
	write32(f.regs + TABLE + 16 * vector + 12, masked);
}

static void message(u32 vector, u32 data)
{
	write32(f.regs + TABLE + 16 * vector, message_address());
	write32(f.regs + TABLE + 16 * vector + 4, 0);
	write32(f.regs + TABLE + 16 * vector + 8, data);
}

static void control(u32 bits)
{
	pci_write16(f.devfn, f.capability + CONTROL, (u16)bits);
}

static u64 pending(void)
{
	return read64(f.regs + PBA);
}

/* Enabled, every vector masked and on an interrupt vector of its own. */
static void begin(void)
{
	u32 i;

	f = function_open(DEVICE_MSIX, PCI_CAP_MSIX);
	control(ENABLE);
	for (i = 0; i < VECTORS; i++) {
		vector_mask(i, MASKED);
		message(i, VEC + i);
		irq_count_on((u8)(VEC + i));
	}
}

void msix_arrives(void)
{
	u32 i;

	begin();
	check_equal(pci_read16(f.devfn, f.capability + CONTROL) & 0x7ff, VECTORS - 1);
	for (i = 0; i < VECTORS; i++)
		vector_mask(i, 0);
	for (i = 0; i < VECTORS; i++) {
		reg_write(&f, REG_FIRE, i);
		check_equal(irq_wait((u8)(VEC + i), 1, SLOW_MS), 1);
	}
	check_equal(irq_total, VECTORS);
	reg_write(&f, REG_FIRE, VECTORS); // there is none
	irq_drain();
	check_equal(irq_total, VECTORS);
}

void msix_masked_pends(void)
{
	begin();
	reg_write(&f, REG_FIRE, 2);
	check(WAIT_FOR(pending() == 1 << 2, SLOW_MS));
	irq_drain();
	check_equal(irq_total, 0);
	vector_mask(2, 0);
	check_equal(irq_wait(VEC + 2, 1, SLOW_MS), 1);
	check_equal(pending(), 0);
}

void msix_function_mask(void)
{
	begin();
	control(ENABLE | MASK_ALL);
	vector_mask(0, 0);
	vector_mask(1, 0);
	reg_write(&f, REG_FIRE, 0);
	reg_write(&f, REG_FIRE, 1);
	check(WAIT_FOR(pending() == 3, SLOW_MS));
	irq_drain();
	check_equal(irq_total, 0);
	control(ENABLE);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	check_equal(irq_wait(VEC + 1, 1, SLOW_MS), 1);
	check_equal(pending(), 0);
}

void msix_message_moves(void)
{
	begin();
	vector_mask(0, 0);
	reg_write(&f, REG_FIRE, 0);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	vector_mask(0, MASKED);
	message(0, VEC + 3);
	vector_mask(0, 0);
	reg_write(&f, REG_FIRE, 0);
	check_equal(irq_wait(VEC + 3, 1, SLOW_MS), 1);
	check_equal(irq_counts[VEC], 1);
	message(0, VEC + 2); // while it is unmasked, as no driver should
	reg_write(&f, REG_FIRE, 0);
	check_equal(irq_wait(VEC + 2, 1, SLOW_MS), 1);
}

void msix_disabled(void)
{
	begin();
	vector_mask(0, 0);
	control(0);
	reg_write(&f, REG_FIRE, 0);
	irq_drain();
	check_equal(irq_total, 0);
	control(ENABLE);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
}

void msix_storm(void)
{
	begin();
	storm_begin(&f, VEC);
	vector_mask(0, 0);
	reg_write(&f, REG_STORM, STORM);
	check_equal(storm_wait(STORM), STORM);
	control(0);
}
