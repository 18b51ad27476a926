// SPDX-License-Identifier: Apache-2.0
// The interrupt pin: a level on a pin of the I/O APIC.
#include "tests.h"

static struct function f;
static u32 pin;

static void begin(u32 masked)
{
	f = function_open(DEVICE_INTX, 0);
	pin = pci_read8(f.devfn, PCI_INTERRUPT_LINE);
	check(pin < ioapic_pins());
	storm_begin(&f, VEC);
	ioapic_route(pin, VEC | IOAPIC_LEVEL | IOAPIC_LOW | masked, apic_id());
}

static void end(void)
{
	check_equal(reg_read(&f, REG_LEFT), 0);
	check(!(ioapic_low(pin) & IOAPIC_REMOTE_IRR));
	ioapic_route(pin, IOAPIC_MASKED, 0);
}

void intx_line(void)
{
	begin(0);
	reg_write(&f, REG_FIRE, 0);
	check_equal(storm_wait(1), 1);
	reg_write(&f, REG_FIRE, 0);
	check_equal(storm_wait(2), 2);
	end();
}

void intx_masked_pends(void)
{
	begin(IOAPIC_MASKED);
	reg_write(&f, REG_FIRE, 0);
	irq_drain();
	check_equal(storm_wait(0), 0);
	ioapic_write(0x10 + 2 * pin, VEC | IOAPIC_LEVEL | IOAPIC_LOW);
	check_equal(storm_wait(1), 1);
	end();
}

/* Each request waits for an interrupt after the last one's EOI: none may be lost. */
void intx_storm(void)
{
	begin(0);
	reg_write(&f, REG_STORM, STORM);
	check_equal(storm_wait(STORM), STORM);
	end();
}
