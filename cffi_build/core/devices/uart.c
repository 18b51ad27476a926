// SPDX-License-Identifier: Apache-2.0
// The registers of the 16550A. Their names and bits are those of linux/serial_reg.h.
#include <linux/serial_reg.h>

#include "uart_impl.h"

#define IIR_FIFO_ENABLED 0xc0

// GUEST: value.
static void write_thr(struct uart *u, uint8_t value)
{
	if (likely(!uart_looped(u))) {
		uart_send(u, &value, 1);
		return;
	}
	uart_put_rx(u, value, 0);
	uart_restart_timeout(u);
	u->s.thre_pending = 1;
}

// GUEST: value.
static void write_fcr(struct uart *u, uint8_t value)
{
	struct uart_state *s = &u->s;
	bool toggled = (s->fcr ^ value) & UART_FCR_ENABLE_FIFO;
	// The other bits count only while the first is one.
	uint8_t clear = value & UART_FCR_ENABLE_FIFO ? value : 0;

	s->fcr = value & UART_FCR_ENABLE_FIFO ? value & FCR_KEPT : 0;
	if (toggled || clear & UART_FCR_CLEAR_RCVR) {
		s->rx_count = 0;
		memset(s->rx, 0, sizeof(s->rx));
		memset(s->rx_flags, 0, sizeof(s->rx_flags));
		uart_restart_timeout(u);
	}
	if ((toggled || clear & UART_FCR_CLEAR_XMIT) && s->tx_count) {
		s->tx_count = 0;
		memset(s->tx, 0, sizeof(s->tx));
		s->thre_pending = 1;
	}
	uart_resume_input(u);
}

// GUEST: value.
static void write_ier(struct uart *u, uint8_t value)
{
	struct uart_state *s = &u->s;

	// Enabling the transmitter's interrupt while it is empty raises it at once.
	if (value & ~s->ier & UART_IER_THRI && !s->tx_count)
		s->thre_pending = 1;
	s->ier = value & IER_BITS;
}

// GUEST: value.
static void write_mcr(struct uart *u, uint8_t value)
{
	uint8_t before = uart_modem_inputs(u);

	u->s.mcr = value & MCR_BITS;
	uint8_t now = uart_modem_inputs(u), changed = before ^ now;
	// Deltas of CTS, DSR and DCD tell any change, that of RI its end only.
	u->s.msr_delta |= (changed & (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)) >> 4;
	if (changed & before & UART_MSR_RI)
		u->s.msr_delta |= UART_MSR_TERI;
	if (!uart_may_coalesce(u))
		coalesce_zone_set(&u->zone, false);
	uart_resume_input(u);
}

static uint8_t read_rbr(struct uart *u)
{
	struct uart_state *s = &u->s;
	uint8_t value = s->rx[0]; // 0 when empty: what lies beyond rx_count is kept zero

	if (!s->rx_count)
		return value;
	s->rx_count--;
	memmove(s->rx, s->rx + 1, UART_FIFO - 1);
	memmove(s->rx_flags, s->rx_flags + 1, UART_FIFO - 1);
	s->rx[UART_FIFO - 1] = s->rx_flags[UART_FIFO - 1] = 0;
	uart_restart_timeout(u);
	uart_resume_input(u);
	return value;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t id = uart_pending(u);

	if (id == UART_IIR_THRI)
		u->s.thre_pending = 0;
	return id | (uart_fifo_on(u) ? IIR_FIFO_ENABLED : 0);
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t value = uart_line_status(u);

	u->s.overrun = 0;
	u->s.rx_flags[0] = 0;
	return value;
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t value = uart_modem_inputs(u) | u->s.msr_delta;

	u->s.msr_delta = 0;
	return value;
}

static uint8_t read_register(struct uart *u, uint64_t offset)
{
	bool dlab = u->s.lcr & UART_LCR_DLAB;

	switch (offset) {
	case UART_RX:
		return dlab ? u->s.dll : read_rbr(u);
	case UART_IER:
		return dlab ? u->s.dlm : u->s.ier;
	case UART_IIR:
		return read_iir(u);
	case UART_LCR:
		return u->s.lcr;
	case UART_MCR:
		return u->s.mcr;
	case UART_LSR:
		return read_lsr(u);
	case UART_MSR:
		return read_msr(u);
	default:
		return u->s.scr;
	}
}

// noinline: the short way below needs no frame.
static __attribute__((noinline)) int read_fully(struct uart *u, uint64_t offset, uint64_t *ret)
{
	*ret = read_register(u, offset);
	uart_update_line(u);
	return 0;
}

static int uart_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct uart *u = container_of(d, struct uart, dev);

	(void)region;
	(void)size;
	// What a driver that sends asks all the time, and it changes nothing.
	if (offset == UART_LSR && likely(!u->s.rx_count && !u->s.overrun)) {
		*ret = u->s.tx_count ? 0 : UART_LSR_THRE | UART_LSR_TEMT;
		return 0;
	}
	return read_fully(u, offset, ret);
}

static int uart_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	struct uart *u = container_of(d, struct uart, dev);
	bool dlab = u->s.lcr & UART_LCR_DLAB;
	uint8_t byte = (uint8_t)value; // GUEST:

	(void)region;
	(void)size;
	switch (offset) {
	case UART_TX:
		if (dlab)
			u->s.dll = byte;
		else
			write_thr(u, byte);
		break;
	case UART_IER:
		if (dlab)
			u->s.dlm = byte;
		else
			write_ier(u, byte);
		break;
	case UART_FCR:
		write_fcr(u, byte);
		break;
	case UART_LCR:
		u->s.lcr = byte;
		if (!uart_may_coalesce(u))
			coalesce_zone_set(&u->zone, false);
		break;
	case UART_MCR:
		write_mcr(u, byte);
		break;
	case UART_SCR:
		u->s.scr = byte;
		break;
	default:
		return 0; // LSR and MSR: factory tests only
	}
	uart_update_line(u);
	return 0;
}

static void uart_write_burst(struct dev *d, uint32_t region, uint64_t offset, const uint8_t *bytes,
			     uint32_t count)
{
	struct uart *u = container_of(d, struct uart, dev);

	if (likely(offset == UART_TX && !uart_looped(u) && !(u->s.lcr & UART_LCR_DLAB))) {
		uart_send(u, bytes, count); // the line waits for uart_settle() or an access
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		uart_write(d, region, offset, 1, bytes[i]);
}

static void uart_settle(struct dev *d)
{
	uart_update_line(container_of(d, struct uart, dev));
}

const struct dev_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
	.write_burst = uart_write_burst,
	.settle = uart_settle,
};
