// SPDX-License-Identifier: Apache-2.0
/*
 * Says "ready" on COM1 and sends back what it receives until a 'q' comes. Sleeps in between: woken
 * by the UART's interrupt through the IOAPIC.
 */
#include "guest.h"

#define VEC 0x64
#define COM1_GSI 4
#define LSR (COM1 + 5)
#define LSR_DATA 1

int guest_main(void)
{
	char c = 0;

	irq_begin();
	irq_count_on(VEC);
	ioapic_route(COM1_GSI, VEC, apic_id());
	outb(COM1 + 2, 0x07); // FIFO on and empty
	outb(COM1 + 4, 0x0b); // OUT2 lets interrupts through
	outb(COM1 + 1, 0x01); // received data
	serial_text("ready\n");
	while (c != 'q') {
		while (!(inb(LSR) & LSR_DATA)) {
			irq_on_halt();
			irq_off();
		}
		c = (char)inb(COM1);
		serial_char(c);
	}
	return EXIT_PASS;
}
