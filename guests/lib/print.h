/* SPDX-License-Identifier: Apache-2.0 */
/* Text to the debug port 0xe9, and to COM1 as well when the command line says "com1". */
#ifndef GUEST_PRINT_H
#define GUEST_PRINT_H

#include "types.h"

#define COM1 0x3f8
#define DEBUGCON 0xe9

void print_init(void);
void print_char(char c);
void serial_char(char c);
void serial_text(const char *text);
/* %d %u %x %c %s %p %%, with l, a width and leading zeros. Whole calls do not mix between CPUs. */
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprintf(const char *format, va_list args);
#endif
