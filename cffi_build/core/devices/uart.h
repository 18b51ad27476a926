// SPDX-License-Identifier: Apache-2.0
// A 16550A UART (PC16550D data sheet): eight byte-wide registers, two FIFOs, one interrupt line.
//
// The wire has no speed: what is transmitted is gone at once unless the channel is full in block
// mode, and what the peer sends waits in the channel until the receiver FIFO has room, so nothing
// overruns except in loopback. Word length, parity and divisor are kept and change nothing.
#ifndef VMM_UART_H
#define VMM_UART_H

#include "chan.h"
#include "coalesce.h"
#include "dev.h"
#include "irq.h"
#include "timer.h"

#define UART_PORTS 8
#define UART_FIFO 16
// The receiver's time-out: four characters of ten bits at 115200 baud, whatever the divisor says.
#define UART_TIMEOUT_NS 347222

struct uart_setup {
	struct irq_hub *hub; // NULL: no interrupt
	uint32_t gsi;
	struct vclock *clock;
	struct loop *loop; // of the time-out's timer; NULL with a manual clock
	struct chan *chan; // NULL: transmits into nothing, receives nothing
	struct coalesce *coalesce; // NULL: every write is an exit
	uint16_t port; // of the transmit register, for its zone
};

#define UART_STATE_VERSION 1

struct uart_state {
	uint32_t version;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr_delta; // MSR bits 0..3
	uint8_t overrun; // LSR bit 1
	uint8_t thre_pending; // transmitter-empty interrupt, not yet read from IIR
	uint8_t timed_out; // character time-out interrupt
	uint8_t rx_count, tx_count;
	uint8_t rx[UART_FIFO]; // here and below: zero beyond the count
	uint8_t rx_flags[UART_FIFO]; // LSR bits of each byte: break only
	uint8_t tx[UART_FIFO];
	int64_t deadline; // of the character time-out, ns on the vclock, -1 for none
};

struct uart_counters {
	uint64_t rx_bytes, tx_bytes; // passed to and from the guest
	uint64_t overruns; // received bytes lost, in loopback only
	uint64_t tx_lost; // written although the transmitter was full
	uint64_t breaks;
	uint64_t interrupts; // rising edges of the line
};

struct uart {
	struct dev dev;
	struct irq_line line;
	struct timer timer;
	struct vclock *clock;
	struct chan *chan;
	struct coalesce_zone zone;
	bool raised; // the interrupt line
	bool rx_refused; // the channel holds input for us
	bool timer_armed; // the timer will run at s.deadline or before it
	struct uart_state s;
	struct uart_counters counters;
};

// NULL with errno set. Takes the channel's front-end.
struct uart *uart_create(const struct uart_setup *setup);
void uart_destroy(struct uart *u);
// The RESET pin: registers, FIFOs and interrupts; the scratch register and the divisor as well, for
// a fresh machine.
void uart_reset(struct uart *u);
void uart_save(struct uart *u, struct uart_state *ret);
// -EINVAL: another version or impossible values; the UART is unchanged then.
int uart_load(struct uart *u, const struct uart_state *state);
// A break condition on the receiver's wire. Any thread.
void uart_send_break(struct uart *u);
void uart_counters(struct uart *u, struct uart_counters *ret);
// For tests: input as the channel would give it; returns how many bytes were taken.
size_t uart_receive(struct uart *u, const uint8_t *buf, size_t len);

#endif
