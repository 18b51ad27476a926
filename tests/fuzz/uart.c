// SPDX-License-Identifier: Apache-2.0
// The UART: any register traffic, any input, with and without a channel that nobody reads.
#include "fuzz.h"
#include "uart.h"

static void one_step(struct uart *u, struct vclock *clock, struct input *in)
{
	const struct registers registers = { &u->dev, 1, UART_PORTS, 1 };
	uint8_t received[24];

	switch (take(in, 1) % 8) {
	case 0:
		step_clock(in, clock);
		break;
	case 1:
		take_into(in, received, sizeof(received));
		MUST(uart_receive(u, received, sizeof(received)) <= sizeof(received));
		break;
	case 2:
		uart_send_break(u);
		break;
	case 3:
		FUZZ_STATE(uart, u, in);
		break;
	case 4:
		if (take(in, 1) == 0)
			uart_reset(u);
		break;
	default:
		access_registers(in, &registers);
	}
	MUST(u->s.rx_count <= UART_FIFO && u->s.tx_count <= UART_FIFO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct irq_hub *hub = irq_hub_create();
	struct vclock *clock = vclock_create(true);
	struct loop *loop = loop_create();
	uint8_t kind = (uint8_t)take(&in, 1);
	struct chan *chan = NULL;

	MUST(hub && clock && loop);
	if (kind & 1)
		MUST((chan = chan_create(loop, CHAN_LIMIT_MIN, kind & 2 ? CHAN_BLOCK : CHAN_DROP)));
	struct uart_setup setup = { .hub = hub, .gsi = 4, .clock = clock, .chan = chan };
	struct uart *u = uart_create(&setup);
	MUST(u);
	while (in.left)
		one_step(u, clock, &in);
	uart_destroy(u);
	MUST(!hub->high[4]);
	if (chan)
		chan_destroy(chan);
	loop_destroy(loop);
	vclock_destroy(clock);
	irq_hub_destroy(hub);
	return 0;
}
