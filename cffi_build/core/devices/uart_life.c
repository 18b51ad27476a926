// SPDX-License-Identifier: Apache-2.0
// The life of a UART: creation, reset, saved state, and the channel's and the timer's ways in.
#include <linux/serial_reg.h>
#include <stdlib.h>

#include "uart_impl.h"

void uart_arm_timeout(struct uart *u)
{
	if (u->s.deadline < 0 || u->timer_armed)
		return;
	u->timer_armed = true;
	timer_arm(&u->timer, u->s.deadline);
}

static void on_timeout(void *opaque)
{
	struct uart *u = opaque;

	LOCKED(&u->dev.lock);
	u->timer_armed = false;
	if (u->s.deadline < 0)
		return; // the receiver was emptied
	if (vclock_ns(u->clock) < u->s.deadline) {
		uart_arm_timeout(u);
		return;
	}
	u->s.deadline = -1;
	u->s.timed_out = 1;
	uart_update_line(u);
}

static size_t on_rx(void *opaque, const uint8_t *buf, size_t len)
{
	return uart_receive(opaque, buf, len);
}

static void on_tx_ready(void *opaque)
{
	struct uart *u = opaque;

	LOCKED(&u->dev.lock);
	uart_transmit(u);
	uart_update_line(u);
}

struct uart *uart_create(const struct uart_setup *setup)
{
	struct uart *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	int err = timer_init(&u->timer, setup->clock, setup->loop, on_timeout, u);
	if (err) {
		free(u);
		errno = -err;
		return NULL;
	}
	dev_init(&u->dev, &uart_ops, DEV_BYTES);
	irq_line_init(&u->line, setup->hub, setup->gsi);
	coalesce_zone_init(&u->zone, setup->coalesce, setup->port, 1, true, true);
	u->clock = setup->clock;
	u->s.version = UART_STATE_VERSION;
	u->s.deadline = -1;
	u->chan = setup->chan;
	if (u->chan) {
		struct chan_front front = { .rx = on_rx, .tx_ready = on_tx_ready, .opaque = u };
		chan_set_front(u->chan, &front);
	}
	return u;
}

void uart_destroy(struct uart *u)
{
	if (!u)
		return;
	if (u->chan)
		chan_set_front(u->chan, NULL);
	timer_deinit(&u->timer);
	coalesce_zone_deinit(&u->zone);
	lock_take(&u->dev.lock);
	irq_line_deinit(&u->line);
	lock_drop(&u->dev.lock);
	dev_deinit(&u->dev);
	free(u);
}

void uart_reset(struct uart *u)
{
	LOCKED(&u->dev.lock);
	coalesce_zone_set(&u->zone, false);
	u->s = (struct uart_state){ .version = UART_STATE_VERSION, .deadline = -1 };
	uart_update_line(u);
	uart_resume_input(u);
}

void uart_save(struct uart *u, struct uart_state *ret)
{
	LOCKED(&u->dev.lock);
	*ret = u->s;
}

// Nothing that the registers' own rules could not have led to.
static bool possible(const struct uart_state *s)
{
	bool fifo = s->fcr & UART_FCR_ENABLE_FIFO;
	uint8_t depth = fifo ? UART_FIFO : 1;

	if (s->version != UART_STATE_VERSION || s->ier & ~IER_BITS || s->mcr & ~MCR_BITS ||
	    s->fcr & ~FCR_KEPT || (!fifo && s->fcr) || s->msr_delta & ~UART_MSR_ANY_DELTA)
		return false;
	if (s->rx_count > depth || s->tx_count > depth || s->overrun > 1 || s->thre_pending > 1 ||
	    s->timed_out > 1 || s->deadline < -1)
		return false;
	for (size_t i = 0; i < UART_FIFO; i++) {
		if (s->rx_flags[i] & ~UART_LSR_BI)
			return false;
		if ((i >= s->rx_count && (s->rx[i] || s->rx_flags[i])) ||
		    (i >= s->tx_count && s->tx[i]))
			return false;
	}
	return s->rx_count || (s->deadline == -1 && !s->timed_out);
}

int uart_load(struct uart *u, const struct uart_state *state)
{
	if (!possible(state))
		return -EINVAL;
	LOCKED(&u->dev.lock);
	coalesce_zone_set(&u->zone, false);
	u->s = *state;
	uart_arm_timeout(u);
	uart_transmit(u);
	uart_update_line(u);
	uart_resume_input(u);
	return 0;
}

void uart_counters(struct uart *u, struct uart_counters *ret)
{
	LOCKED(&u->dev.lock);
	*ret = u->counters;
}
