// SPDX-License-Identifier: Apache-2.0
// The UART's interrupts, through the IOAPIC.
#include "uart.h"

#define VEC 0x61

static void irq_setup(void)
{
	uart_setup();
	check(uart_idle());
	irq_begin();
	irq_count_on(VEC);
	ioapic_route(uart_gsi, VEC, apic_id());
	irq_drain();
	irq_reset();
}

static void irq_done(void)
{
	put(IER, 0);
	put(MCR, MCR_OUT2);
	ioapic_route(uart_gsi, IOAPIC_MASKED, 0);
}

void interrupt_thre(void)
{
	irq_setup();
	put(IER, IER_THRE); // empty already: asks at once
	check_equal(irq_wait(VEC, 1, SLOW_MS), 1);
	check_equal(get(IIR) & 0x0f, IIR_THRE);
	put(THR, '\n');
	check_equal(irq_wait(VEC, 2, SLOW_MS), 2);
	check_equal(get(IIR) & 0x0f, IIR_THRE);
	irq_drain();
	check_equal(irq_counts[VEC], 2);
	irq_done();
}

/*
 * A loop takes OUT2 from the pin that lets interrupts through on a PC; leaving it with a byte
 * received has to raise one, whatever a machine does before.
 */
void interrupt_receive(void)
{
	irq_setup();
	put(MCR, MCR_LOOP | MCR_OUT2);
	put(IER, IER_RX);
	irq_drain();
	irq_reset();
	put(THR, 'z');
	check(WAIT_FOR(get(LSR) & LSR_DR, SLOW_MS));
	put(MCR, MCR_OUT2);
	check(irq_wait(VEC, 1, SLOW_MS) >= 1);
	check_equal(get(IIR) & 0x0f, IIR_RX);
	check_equal(get(RBR), 'z');
	irq_done();
}

void receive_timeout(void)
{
	irq_setup();
	put(FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_TRIGGER_8);
	put(MCR, MCR_LOOP | MCR_OUT2);
	put(IER, IER_RX);
	put(THR, 't'); // below the trigger level
	check(WAIT_FOR((get(IIR) & 0x0f) == IIR_TIMEOUT, SLOW_MS));
	check_equal(get(RBR), 't');
	check_equal(get(IIR) & 0x0f, IIR_NONE);
	irq_done();
}
