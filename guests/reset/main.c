// SPDX-License-Identifier: Apache-2.0
/*
 * Asks for a reset. Command line: how=cf9 | 92 | i8042 | acpi | triple. A machine that restarts in
 * place runs this again and again: each round says so, and the host counts the rounds.
 */
#include "guest.h"

#define PORT_FAST_A20 0x92
#define PORT_I8042_STATUS 0x64

static void by_acpi(void)
{
	const struct acpi_fadt *f = PTR(acpi_find("FACP"));

	if (!f || !(f->flags & FADT_RESET_SUPPORTED))
		panic("the FADT has no reset register");
	if (f->reset.space == 1)
		outb((u16)f->reset.address, f->reset_value);
	else
		write8(f->reset.address, f->reset_value);
}

static void by_triple_fault(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	asm volatile("lidt %0; int3" ::"m"(none));
}

int guest_main(void)
{
	char how[16] = "";

	arg_str("how", how, sizeof(how));
	printf("# reset by %s\n", how);
	if (arg_lists("how", "cf9")) {
		outb(PORT_RESET, 0x02); // hard reset chosen, then done
		outb(PORT_RESET, 0x06);
	} else if (arg_lists("how", "92")) {
		outb(PORT_FAST_A20, (inb(PORT_FAST_A20) & 0xfe) | 1);
	} else if (arg_lists("how", "i8042")) {
		outb(PORT_I8042_STATUS, 0xfe);
	} else if (arg_lists("how", "acpi")) {
		by_acpi();
	} else if (arg_lists("how", "triple")) {
		by_triple_fault();
	}
	delay_us(1000000);
	panic("still running after a reset by \"%s\"", how);
}
