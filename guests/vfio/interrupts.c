// SPDX-License-Identifier: Apache-2.0
// The device's message and its pin.
#include "edu.h"

#define CONTROL 2
#define ADDRESS 4
#define DATA 12
#define ENABLE 1u
#define INTX_OFF 0x400
#define STORM 200
#define TWICE 2

static u32 pin, served, unserved, leave;

static bool begin_msi(void)
{
	u32 at;

	if (!edu_open())
		return false;
	at = pci_capability(devfn, PCI_CAP_MSI);
	check(at);
	pci_write16(devfn, at + CONTROL, 0);
	pci_write(devfn, at + ADDRESS, 0xfee00000u | apic_id() << 12);
	pci_write(devfn, at + ADDRESS + 4, 0);
	pci_write16(devfn, at + DATA, VEC);
	irq_count_on(VEC);
	pci_write16(devfn, at + CONTROL, ENABLE);
	return true;
}

static void end_msi(void)
{
	pci_write16(devfn, pci_capability(devfn, PCI_CAP_MSI) + CONTROL, 0);
}

void msi_arrives(void)
{
	if (!begin_msi())
		return;
	edu_write(RAISE, 5);
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	check_equal(edu_read(PENDING), 5);
	edu_write(ACKNOWLEDGE, 5);
	check_equal(edu_read(PENDING), 0);
	end_msi();
}

/* While it is off the message is not sent, and the pin is not wired up here. */
void msi_masked(void)
{
	if (!begin_msi())
		return;
	end_msi();
	edu_write(RAISE, 1);
	irq_drain();
	check_equal(irq_total, 0);
	edu_write(ACKNOWLEDGE, 1);
}

void msi_storm(void)
{
	u32 i;

	if (!begin_msi())
		return;
	for (i = 1; i <= STORM; i++) {
		edu_write(RAISE, 1);
		check_equal(irq_wait(VEC, i, SLOW_MS), i);
		edu_write(ACKNOWLEDGE, 1);
	}
	check_equal(irq_total, STORM);
	end_msi();
}

static void on_pin(struct frame *f)
{
	(void)f;
	if (!edu_read(PENDING)) {
		unserved++;
	} else if (leave) {
		leave--;
		served++;
	} else {
		edu_write(ACKNOWLEDGE, edu_read(PENDING));
		served++;
	}
	apic_eoi();
}

static bool begin_pin(void)
{
	if (!edu_open())
		return false;
	pin = pci_read8(devfn, PCI_INTERRUPT_LINE);
	check(pin < ioapic_pins());
	served = unserved = leave = 0;
	trap_set(VEC, on_pin);
	ioapic_route(pin, VEC | IOAPIC_LEVEL | IOAPIC_LOW, apic_id());
	return true;
}

static u32 wait_served(u32 n)
{
	irq_on();
	WAIT_FOR(READ_ONCE(served) >= n, SLOW_MS);
	irq_off();
	irq_drain();
	return served;
}

static void end_pin(void)
{
	check_equal(edu_read(PENDING), 0);
	check(!(ioapic_low(pin) & IOAPIC_REMOTE_IRR));
	ioapic_route(pin, IOAPIC_MASKED, 0);
	if (unserved)
		printf("# %u with nothing to do\n", unserved);
}

void intx_line(void)
{
	if (!begin_pin())
		return;
	edu_write(RAISE, 1);
	check_equal(wait_served(1), 1);
	edu_write(RAISE, 1);
	check_equal(wait_served(2), 2);
	end_pin();
}

/* A driver that leaves the cause alone is called again: the line is a level. */
void intx_until_served(void)
{
	if (!begin_pin())
		return;
	leave = TWICE;
	edu_write(RAISE, 1);
	check_equal(wait_served(TWICE + 1), TWICE + 1);
	end_pin();
}

void intx_disabled(void)
{
	u16 on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (!begin_pin())
		return;
	pci_write16(devfn, PCI_COMMAND, on | INTX_OFF);
	edu_write(RAISE, 1);
	delay_us(20000);
	irq_drain();
	check_equal(served, 0);
	check(pci_read(devfn, PCI_COMMAND) & 1 << 19); // the status register tells all the same
	pci_write16(devfn, PCI_COMMAND, on);
	check_equal(wait_served(1), 1);
	end_pin();
}

void intx_storm(void)
{
	u32 i;

	if (!begin_pin())
		return;
	for (i = 1; i <= STORM; i++) {
		edu_write(RAISE, 1);
		irq_on();
		check(WAIT_FOR(READ_ONCE(served) >= i, SLOW_MS));
		irq_off();
	}
	check_equal(wait_served(STORM), STORM);
	end_pin();
}
