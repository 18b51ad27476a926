// SPDX-License-Identifier: Apache-2.0
#include "boot.h"
#include "cpu.h"
#include "print.h"

static struct spinlock print_lock;
static bool to_com1;

void print_init(void)
{
	to_com1 = arg_flag("com1");
}

void serial_char(char c)
{
	while (!(inb(COM1 + 5) & 0x20)) // LSR.THRE
		pause();
	outb(COM1, (u8)c);
}

void serial_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			serial_char('\r');
		serial_char(*text);
	}
}

void print_char(char c)
{
	outb(DEBUGCON, (u8)c);
	if (!to_com1)
		return;
	if (c == '\n')
		serial_char('\r');
	serial_char(c);
}

static void print_number(u64 v, unsigned int base, int width, char pad, bool negative)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative)
		digits[n++] = '-';
	for (; width > n; width--)
		print_char(pad);
	while (n)
		print_char(digits[--n]);
}

static const char *print_one(const char *f, va_list *args)
{
	char pad = *f == '0' ? '0' : ' ';
	const char *s;
	bool wide = false;
	int width = 0;
	s64 v;

	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + *f - '0';
	for (; *f == 'l'; f++)
		wide = true;
	switch (*f) {
	case 'd':
		v = wide ? va_arg(*args, s64) : va_arg(*args, int);
		print_number(v < 0 ? -(u64)v : (u64)v, 10, width, pad, v < 0);
		break;
	case 'u':
	case 'x':
		print_number(wide ? va_arg(*args, u64) : va_arg(*args, u32), *f == 'x' ? 16 : 10,
			     width, pad, false);
		break;
	case 'p':
		print_number(va_arg(*args, u64), 16, 16, '0', false);
		break;
	case 's':
		for (s = va_arg(*args, const char *); *s; s++)
			print_char(*s);
		break;
	case 'c':
		print_char((char)va_arg(*args, int));
		break;
	default:
		print_char(*f);
	}
	return f + 1;
}

void vprintf(const char *format, va_list args)
{
	va_list copy;

	va_copy(copy, args);
	spin_lock(&print_lock);
	while (*format) {
		if (*format == '%')
			format = print_one(format + 1, &copy);
		else
			print_char(*format++);
	}
	spin_unlock(&print_lock);
	va_end(copy);
}

void printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}
