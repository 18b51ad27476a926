// SPDX-License-Identifier: Apache-2.0
// The 16550A. Register and bit names are those of linux/serial_reg.h.
#include <linux/serial_reg.h>

#include "uart_impl.h"

#define IIR_FIFO_ENABLED 0xc0
#define IIR_TIMEOUT 0x0c
#define MSR_INPUTS (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS) // a peer that is always there

static bool fifo_on(const struct uart *u)
{
	return u->s.fcr & UART_FCR_ENABLE_FIFO;
}

static uint8_t fifo_depth(const struct uart *u)
{
	return fifo_on(u) ? UART_FIFO : 1;
}

static bool looped(const struct uart *u)
{
	return u->s.mcr & UART_MCR_LOOP;
}

// Received bytes that raise the data interrupt.
static uint8_t trigger(const struct uart *u)
{
	static const uint8_t level[] = {1, 4, 8, 14};

	return fifo_on(u) ? level[u->s.fcr >> 6] : 1;
}

static uint8_t modem_inputs(const struct uart *u)
{
	uint8_t mcr = u->s.mcr, inputs = 0;

	if (!looped(u))
		return MSR_INPUTS;
	inputs |= mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	inputs |= mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	inputs |= mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	inputs |= mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return inputs;
}

static uint8_t lsr(const struct uart *u)
{
	const struct uart_state *s = &u->s;
	uint8_t value = s->overrun ? UART_LSR_OE : 0;

	if (s->rx_count)
		value |= (uint8_t)(UART_LSR_DR | s->rx_flags[0]);
	if (!s->tx_count)
		value |= UART_LSR_THRE | UART_LSR_TEMT;
	for (uint8_t i = 0; fifo_on(u) && i < s->rx_count; i++)
		value |= s->rx_flags[i] ? 0x80 : 0; // an error somewhere in the FIFO
	return value;
}

// The identification of the pending interrupt of highest priority, without the FIFO bits.
static uint8_t pending(const struct uart *u)
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
	bool gate = u->s.mcr & UART_MCR_OUT2 && !looped(u);
	bool raised = gate && pending(u) != UART_IIR_NO_INT;

	if (raised == u->raised)
		return;
	u->raised = raised;
	u->counters.interrupts += raised;
	irq_line_set(&u->line, raised);
}

// After every byte that came or went, the time-out starts anew while any are left (FIFO mode only). A timer that
// is on its way already is left alone: its function sends it on to the deadline that holds by then.
static void restart_timeout(struct uart *u)
{
	struct uart_state *s = &u->s;

	s->timed_out = 0;
	s->deadline = fifo_on(u) && s->rx_count ? vclock_ns(u->clock) + UART_TIMEOUT_NS : -1;
	uart_arm_timeout(u);
}

// One byte from the wire. A full FIFO keeps what it has, without FIFO the register is overwritten.
static void receive(struct uart *u, uint8_t byte, uint8_t flags)
{
	struct uart_state *s = &u->s;

	if (s->rx_count == fifo_depth(u)) {
		s->overrun = 1;
		u->counters.overruns++;
		if (fifo_on(u))
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

	while (n < len && !looped(u) && u->s.rx_count < fifo_depth(u))
		receive(u, buf[n++], 0);
	u->rx_refused = n < len;
	u->counters.rx_bytes += n;
	if (n)
		restart_timeout(u);
	uart_update_line(u);
	return n;
}

void uart_send_break(struct uart *u)
{
	LOCKED(&u->dev.lock);
	u->counters.breaks++;
	if (!looped(u))
		receive(u, 0, UART_LSR_BI);
	restart_timeout(u);
	uart_update_line(u);
}

void uart_resume_input(struct uart *u)
{
	if (u->chan && u->rx_refused && !looped(u) && !u->s.rx_count) {
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

// Whether a write to the transmit register may wait in KVM's ring. A guest that has not asked for the FIFO sees
// every byte leave as it writes it.
static bool may_coalesce(const struct uart *u)
{
	return fifo_on(u) && !looped(u) && !(u->s.lcr & UART_LCR_DLAB);
}

// GUEST: value.
static void write_thr(struct uart *u, uint8_t value)
{
	struct uart_state *s = &u->s;

	coalesce_zone_hit(&u->zone);
	if (may_coalesce(u))
		coalesce_zone_set(&u->zone, true); // refused by KVM: plain exits go on
	if (looped(u)) {
		receive(u, value, 0);
		restart_timeout(u);
		s->thre_pending = 1;
		return;
	}
	if (s->tx_count == fifo_depth(u)) {
		u->counters.tx_lost++;
		if (fifo_on(u))
			return;
		s->tx_count = 0;
	}
	s->thre_pending = 0;
	s->tx[s->tx_count++] = value;
	uart_transmit(u);
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
		restart_timeout(u);
	}
	if ((toggled || clear & UART_FCR_CLEAR_XMIT) && s->tx_count) {
		s->tx_count = 0;
		memset(s->tx, 0, sizeof(s->tx));
		s->thre_pending = 1;
	}
	if (!may_coalesce(u))
		coalesce_zone_set(&u->zone, false);
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
	uint8_t before = modem_inputs(u);

	u->s.mcr = value & MCR_BITS;
	uint8_t now = modem_inputs(u), changed = before ^ now;
	// Deltas of CTS, DSR and DCD tell any change, that of RI its end only.
	u->s.msr_delta |= (changed & (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)) >> 4;
	if (changed & before & UART_MSR_RI)
		u->s.msr_delta |= UART_MSR_TERI;
	if (!may_coalesce(u))
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
	restart_timeout(u);
	uart_resume_input(u);
	return value;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t id = pending(u);

	if (id == UART_IIR_THRI)
		u->s.thre_pending = 0;
	return id | (fifo_on(u) ? IIR_FIFO_ENABLED : 0);
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t value = lsr(u);

	u->s.overrun = 0;
	u->s.rx_flags[0] = 0;
	return value;
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t value = modem_inputs(u) | u->s.msr_delta;

	u->s.msr_delta = 0;
	return value;
}

static int uart_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct uart *u = container_of(d, struct uart, dev);
	bool dlab = u->s.lcr & UART_LCR_DLAB;

	(void)region;
	(void)size;
	switch (offset) {
	case UART_RX:
		*ret = dlab ? u->s.dll : read_rbr(u);
		break;
	case UART_IER:
		*ret = dlab ? u->s.dlm : u->s.ier;
		break;
	case UART_IIR:
		*ret = read_iir(u);
		break;
	case UART_LCR:
		*ret = u->s.lcr;
		break;
	case UART_MCR:
		*ret = u->s.mcr;
		break;
	case UART_LSR:
		*ret = read_lsr(u);
		break;
	case UART_MSR:
		*ret = read_msr(u);
		break;
	default:
		*ret = u->s.scr;
		break;
	}
	uart_update_line(u);
	return 0;
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
		if (!may_coalesce(u))
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

const struct dev_ops uart_ops = {.read = uart_read, .write = uart_write};
