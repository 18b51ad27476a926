// SPDX-License-Identifier: Apache-2.0
// A 16550A as its data sheet has it. Command line: port=0x3f8, gsi=4 of the UART under test.
#include "uart.h"

u16 uart_base;
u32 uart_gsi;

static void drain(void)
{
	u32 i;

	for (i = 0; i < 64 && (get(LSR) & LSR_DR); i++)
		get(RBR);
	get(IIR);
	get(MSR);
}

/* Quiet, FIFOs off, no loop. Fast divisor: emulations that keep the baud rate should not make this
 * slow. */
void uart_setup(void)
{
	uart_base = (u16)arg_u64("port", COM1);
	uart_gsi = (u32)arg_u64("gsi", 4);
	put(IER, 0);
	put(FCR, 0);
	put(LCR, LCR_8N1 | LCR_DLAB);
	put(DLL, 1);
	put(DLM, 0);
	put(LCR, LCR_8N1);
	put(MCR, MCR_OUT2);
	drain();
}

bool uart_idle(void)
{
	return WAIT_FOR((get(LSR) & (LSR_THRE | LSR_TEMT)) == (LSR_THRE | LSR_TEMT), SLOW_MS);
}

static void loop_send(u8 v)
{
	put(THR, v);
	check(WAIT_FOR(get(LSR) & LSR_DR, SLOW_MS));
}

static void scratch(void)
{
	uart_setup();
	put(SCR, 0x5a);
	check_equal(get(SCR), 0x5a);
	put(SCR, 0xa5);
	check_equal(get(SCR), 0xa5);
}

static void divisor_latch(void)
{
	uart_setup();
	put(IER, 0);
	put(LCR, LCR_8N1 | LCR_DLAB);
	put(DLL, 0x34);
	put(DLM, 0x12);
	check_equal(get(DLL), 0x34);
	check_equal(get(DLM), 0x12);
	put(LCR, LCR_8N1);
	check_equal(get(IER), 0); // the register behind the latch was not touched
	put(LCR, LCR_8N1 | LCR_DLAB);
	check_equal(get(DLL), 0x34);
}

static void registers_hold(void)
{
	uart_setup();
	put(IER, 0x0f);
	check_equal(get(IER), 0x0f);
	put(IER, 0xf0); // a 16550A has no more bits
	check_equal(get(IER), 0);
	put(LCR, 0x1b);
	check_equal(get(LCR), 0x1b);
	put(LCR, LCR_8N1);
	put(MCR, 0xe0 | MCR_OUT2);
	check_equal(get(MCR), MCR_OUT2);
}

static void fifo_bits(void)
{
	uart_setup();
	check_equal(get(IIR) & IIR_FIFOS, 0);
	put(FCR, FCR_ENABLE);
	check_equal(get(IIR) & IIR_FIFOS, IIR_FIFOS);
	put(FCR, 0);
	check_equal(get(IIR) & IIR_FIFOS, 0);
}

static void transmitter_empties(void)
{
	uart_setup();
	put(FCR, FCR_ENABLE | FCR_CLEAR_TX);
	check(uart_idle());
	put(THR, '#');
	put(THR, '\n');
	check(uart_idle());
}

static void loopback_data(void)
{
	u32 i;

	uart_setup();
	put(MCR, MCR_LOOP);
	check(!(get(LSR) & LSR_DR));
	for (i = 0; i < 256; i += 15) {
		loop_send((u8)i);
		check_equal(get(RBR), i);
		check(!(get(LSR) & LSR_DR));
	}
}

static void loopback_modem_lines(void)
{
	uart_setup();
	put(MCR, MCR_LOOP | MCR_DTR);
	check_equal(get(MSR) & 0xf0, 0x20); // DTR -> DSR
	put(MCR, MCR_LOOP | MCR_RTS);
	check_equal(get(MSR) & 0xf0, 0x10); // RTS -> CTS
	put(MCR, MCR_LOOP | MCR_OUT1);
	check_equal(get(MSR) & 0xf0, 0x40); // OUT1 -> RI
	put(MCR, MCR_LOOP | MCR_OUT2);
	check_equal(get(MSR) & 0xf0, 0x80); // OUT2 -> DCD
}

static void modem_deltas(void)
{
	uart_setup();
	put(MCR, MCR_LOOP);
	get(MSR);
	put(MCR, MCR_LOOP | MCR_DTR);
	check_equal(get(MSR) & 0x0f, 0x02); // DSR changed
	check_equal(get(MSR) & 0x0f, 0); // reading clears
}

static void fifo_depth(void)
{
	u32 i;

	uart_setup();
	put(FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX | FCR_TRIGGER_8);
	put(MCR, MCR_LOOP);
	for (i = 0; i < 16; i++) {
		check(WAIT_FOR(get(LSR) & LSR_THRE, SLOW_MS));
		put(THR, (u8)(0x40 + i));
	}
	check(uart_idle());
	delay_us(2000);
	check(!(get(LSR) & LSR_OE));
	for (i = 0; i < 16; i++) {
		check(get(LSR) & LSR_DR);
		check_equal(get(RBR), 0x40 + i);
	}
	check(!(get(LSR) & LSR_DR));
}

static void overrun(void)
{
	u8 seen = 0; // reading LSR clears OE, so collect
	u32 i;

	uart_setup();
	put(FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
	put(MCR, MCR_LOOP);
	for (i = 0; i < 18; i++) {
		check(WAIT_FOR((seen |= get(LSR)) & LSR_THRE, SLOW_MS));
		put(THR, (u8)i);
		delay_us(500);
	}
	seen |= get(LSR);
	check(seen & LSR_OE);
	check(!(get(LSR) & LSR_OE));
	check_equal(get(RBR), 0); // the FIFO kept the oldest
}

static void clear_receiver(void)
{
	uart_setup();
	put(FCR, FCR_ENABLE);
	put(MCR, MCR_LOOP);
	loop_send('x');
	put(FCR, FCR_ENABLE | FCR_CLEAR_RX);
	check(!(get(LSR) & LSR_DR));
}

static void identification(void)
{
	uart_setup();
	check_equal(get(IIR) & 0x0f, IIR_NONE);
	check(uart_idle());
	put(IER, IER_THRE);
	check_equal(get(IIR) & 0x0f, IIR_THRE);
	check_equal(get(IIR) & 0x0f, IIR_NONE); // reading clears THRE, alone of all
	put(MCR, MCR_LOOP | MCR_OUT2);
	put(IER, IER_RX);
	loop_send('y');
	check_equal(get(IIR) & 0x0f, IIR_RX);
	check_equal(get(IIR) & 0x0f, IIR_RX);
	get(RBR);
	check_equal(get(IIR) & 0x0f, IIR_NONE);
}

const struct test tests[] = {
	{ "scratch", scratch },
	{ "divisor-latch", divisor_latch },
	{ "registers-hold", registers_hold },
	{ "fifo-bits", fifo_bits },
	{ "transmitter-empties", transmitter_empties },
	{ "loopback-data", loopback_data },
	{ "loopback-modem-lines", loopback_modem_lines },
	{ "modem-deltas", modem_deltas },
	{ "fifo-depth", fifo_depth },
	{ "overrun", overrun },
	{ "clear-receiver", clear_receiver },
	{ "identification", identification },
	{ "interrupt-thre", interrupt_thre },
	{ "interrupt-receive", interrupt_receive },
	{ "receive-timeout", receive_timeout },
	{},
};
