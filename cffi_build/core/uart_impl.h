// SPDX-License-Identifier: Apache-2.0
// Inside the UART: shared by uart.c (the registers) and uart_life.c only. All with the device's lock held.
#ifndef VMM_UART_IMPL_H
#define VMM_UART_IMPL_H

#include "uart.h"

// What the registers keep of what is written to them.
#define IER_BITS 0x0f
#define MCR_BITS 0x1f
#define FCR_KEPT (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK)

// uart.c
extern const struct dev_ops uart_ops;
void uart_update_line(struct uart *u);
// Hands the waiting bytes to the channel; the transmitter is empty once all are gone.
void uart_transmit(struct uart *u);
// Room for input again: the channel is asked when the receiver is empty, so that it gives a FIFO full.
void uart_resume_input(struct uart *u);

// uart_life.c
// Sees to it that the time-out's function runs not later than the deadline.
void uart_arm_timeout(struct uart *u);

#endif
