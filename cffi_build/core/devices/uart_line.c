// SPDX-License-Identifier: Apache-2.0
// The 16550A behind its registers: what is received and sent, the status that follows, the
// interrupt.
#include <linux/serial_reg.h>

#include "uart_impl.h"

#define IIR_TIMEOUT 0x0c
#define MSR_INPUTS (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS) // a peer that is always there

// Received bytes that raise the data interrupt.
static uint8_t trigger(const struct uart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return uart_fifo_on(u) ? level[u->s.fcr >> 6] : 1;
}

uint8_t uart_modem_inputs(const struct uart *u)
{
	uint8_t mcr = u->s.mcr, inputs = 0;

	if (!uart_looped(u))
		return MSR_INPUTS;
	inputs |= mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	inputs |= mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	inputs |= mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	inputs |= mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return inputs;
}

uint8_t uart_line_status(const struct uart *u)
{
	const struct uart_state *s = &u->s;
	uint8_t value = s->overrun ? UART_LSR_OE : 0;

	if (s->rx_count)
		value |= (uint8_t)(UART_LSR_DR | s->rx_flags[0]);
	if (!s->tx_count)
		value |= UART_LSR_THRE | UART_LSR_TEMT;
	for (uint8_t i = 0; uart_fifo_on(u) && i < s->rx_count; i++)
		value |= s->rx_flags[i] ? 0x80 : 0; // an error somewhere in the FIFO
	return value;
}

uint8_t uart_pending(const struct uart *u)
{
	const struct uart_state *s = &u->s;

	if (s->ier & UART_IER_RLSI && (s->overrun || (s->rx_count && s->rx_flags[0])))
		return UART_IIR_RLSI;
	if (s->ier & UART_IER_RDI && s->rx_count >= trigger(u))
		return UART_IIR_RDI;
	if (s->ier & UART_IER_RDI && s->timed_out)
		return IIR_TIMEOUT;
	if (s->ier & UART_IER_THRI && s->thre_pending)
		return UART_IIR_THRI;
	if (s->ier & UART_IER_MSI && s->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

// On a PC the interrupt passes a gate that OUT2 opens, and in loopback that pin is inactive.
void uart_update_line(struct uart *u)
{
	bool gate = u->s.mcr & UART_MCR_OUT2 && !uart_looped(u);
	bool raised = gate && uart_pending(u) != UART_IIR_NO_INT;

	if (raised == u->raised)
		return;
	u->raised = raised;
	u->counters.interrupts += raised;
	irq_line_set(&u->line, raised);
}

void uart_restart_timeout(struct uart *u)
{
	struct uart_state *s = &u->s;

	s->timed_out = 0;
	s->deadline = uart_fifo_on(u) && s->rx_count ? vclock_ns(u->clock) + UART_TIMEOUT_NS : -1;
	uart_arm_timeout(u);
}

void uart_put_rx(struct uart *u, uint8_t byte, uint8_t flags)
{
	struct uart_state *s = &u->s;

	if (s->rx_count == uart_fifo_depth(u)) {
		s->overrun = 1;
		u->counters.overruns++;
		if (uart_fifo_on(u))
			return;
		s->rx_count = 0;
	}
	s->rx[s->rx_count] = byte;
	s->rx_flags[s->rx_count++] = flags;
}

size_t uart_receive(struct uart *u, const uint8_t *buf, size_t len)
{
	LOCKED(&u->dev.lock);
	size_t n = 0;

	while (n < len && !uart_looped(u) && u->s.rx_count < uart_fifo_depth(u))
		uart_put_rx(u, buf[n++], 0);
	u->rx_refused = n < len;
	u->counters.rx_bytes += n;
	if (n)
		uart_restart_timeout(u);
	uart_update_line(u);
	return n;
}

void uart_send_break(struct uart *u)
{
	LOCKED(&u->dev.lock);
	u->counters.breaks++;
	if (!uart_looped(u))
		uart_put_rx(u, 0, UART_LSR_BI);
	uart_restart_timeout(u);
	uart_update_line(u);
}

void uart_resume_input(struct uart *u)
{
	if (u->chan && u->rx_refused && !uart_looped(u) && !u->s.rx_count) {
		u->rx_refused = false;
		chan_rx_resume(u->chan);
	}
}

void uart_transmit(struct uart *u)
{
	struct uart_state *s = &u->s;
	uint8_t had = s->tx_count;
	size_t n = u->chan ? chan_put(u->chan, s->tx, had) : had;

	u->counters.tx_bytes += n;
	s->tx_count = (uint8_t)(had - n);
	memmove(s->tx, s->tx + n, s->tx_count);
	memset(s->tx + s->tx_count, 0, n);
	if (had && !s->tx_count)
		s->thre_pending = 1;
}

// GUEST: bytes.
void uart_send(struct uart *u, const uint8_t *bytes, uint32_t count)
{
	struct uart_state *s = &u->s;
	uint32_t sent = 0;

	coalesce_zone_hit(&u->zone, count);
	if (unlikely(!coalesce_zone_on(&u->zone) && uart_may_coalesce(u)))
		coalesce_zone_set(&u->zone, true); // refused by KVM: plain exits go on
	if (likely(!s->tx_count)) {
		sent = u->chan ? (uint32_t)chan_put(u->chan, bytes, count) : count;
		u->counters.tx_bytes += sent;
		if (sent)
			s->thre_pending = 1;
	}
	for (; unlikely(sent < count); sent++) {
		if (s->tx_count == uart_fifo_depth(u)) {
			u->counters.tx_lost++;
			if (uart_fifo_on(u))
				continue;
			s->tx_count = 0;
		}
		s->thre_pending = 0;
		s->tx[s->tx_count++] = bytes[sent];
		uart_transmit(u);
	}
}
