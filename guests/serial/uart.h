/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a 16550A, and what both halves of the test share. */
#ifndef SERIAL_UART_H
#define SERIAL_UART_H

#include "guest.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = 0, FCR = 2, DLL = 0, DLM = 1 };

#define IER_RX 1
#define IER_THRE 2
#define IER_LINE 4
#define IER_MODEM 8
#define IIR_NONE 0x01
#define IIR_THRE 0x02
#define IIR_RX 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS 0xc0
#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define FCR_TRIGGER_8 0x80
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define SLOW_MS 3000

extern u16 uart_base;
extern u32 uart_gsi;

// clang-format off
static inline u8 get(int reg) { return inb((u16)(uart_base + reg)); }
static inline void put(int reg, u8 v) { outb((u16)(uart_base + reg), v); }
// clang-format on

void uart_setup(void);
bool uart_idle(void); /* waits for it */

void interrupt_thre(void);
void interrupt_receive(void);
void receive_timeout(void);
#endif
