// SPDX-License-Identifier: Apache-2.0
// Inside the UART: shared by uart.c (the registers), uart_line.c (the line) and uart_life.c only.
// All with the device's lock held.
#ifndef VMM_UART_IMPL_H
#define VMM_UART_IMPL_H

#include <linux/serial_reg.h>

#include "uart.h"

// What the registers keep of what is written to them.
#define IER_BITS 0x0f
#define MCR_BITS 0x1f
#define FCR_KEPT (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK)

static inline bool uart_fifo_on(const struct uart *u)
{
	return u->s.fcr & UART_FCR_ENABLE_FIFO;
}

static inline uint8_t uart_fifo_depth(const struct uart *u)
{
	return uart_fifo_on(u) ? UART_FIFO : 1;
}

static inline bool uart_looped(const struct uart *u)
{
	return u->s.mcr & UART_MCR_LOOP;
}

// Whether a write to the transmit register may wait in KVM's ring. With or without FIFO, whoever
// polls the line status before each byte halves his exits.
static inline bool uart_may_coalesce(const struct uart *u)
{
	return !uart_looped(u) && !(u->s.lcr & UART_LCR_DLAB);
}

// uart.c
extern const struct dev_ops uart_ops;

// uart_line.c
uint8_t uart_modem_inputs(const struct uart *u);
uint8_t uart_line_status(const struct uart *u);
// The identification of the pending interrupt of highest priority, without the FIFO bits.
uint8_t uart_pending(const struct uart *u);
void uart_update_line(struct uart *u);
// One byte from the wire. A full FIFO keeps what it has, without FIFO the register is overwritten.
void uart_put_rx(struct uart *u, uint8_t byte, uint8_t flags);
// After every byte that came or went, the time-out starts anew while any are left (FIFO mode only).
// A timer that is on its way already is left alone: its function sends it on to the deadline that
// holds by then.
void uart_restart_timeout(struct uart *u);
// Room for input again: the channel is asked when the receiver is empty, so that it gives a FIFO
// full.
void uart_resume_input(struct uart *u);
// Bytes leave by the shortest way: straight to the channel while none are waiting.
void uart_send(struct uart *u, const uint8_t *bytes, uint32_t count);
// Hands the waiting bytes to the channel; the transmitter is empty once all are gone.
void uart_transmit(struct uart *u);

// uart_life.c
// Sees to it that the time-out's function runs not later than the deadline.
void uart_arm_timeout(struct uart *u);

#endif
