// SPDX-License-Identifier: Apache-2.0
// Port I/O of every width, string instructions, ports nobody answers. Needs pc-testdev.
#include "guest.h"
#include "testdev.h"

#define NOBODY 0x5f00
#define BUFFER 4096

static u8 buffer[3 * BUFFER] __attribute__((aligned(4096)));

// clang-format off
static void rep_out(const void *from, u16 port, u64 n, unsigned int width)
{
	if (width == 1)
		asm volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(port) : "memory");
	else if (width == 2)
		asm volatile("rep outsw" : "+S"(from), "+c"(n) : "d"(port) : "memory");
	else
		asm volatile("rep outsl" : "+S"(from), "+c"(n) : "d"(port) : "memory");
}

static u64 rep_in(void *to, u16 port, u64 n, unsigned int width)
{
	if (width == 1)
		asm volatile("rep insb" : "+D"(to), "+c"(n) : "d"(port) : "memory");
	else if (width == 2)
		asm volatile("rep insw" : "+D"(to), "+c"(n) : "d"(port) : "memory");
	else
		asm volatile("rep insl" : "+D"(to), "+c"(n) : "d"(port) : "memory");
	return n;
}
// clang-format on

static bool all(const u8 *p, u64 n, u8 v)
{
	for (; n; n--)
		if (*p++ != v)
			return false;
	return true;
}

static void widths(void)
{
	outl(TESTDEV_LATCH, 0x44332211);
	check_equal(inl(TESTDEV_LATCH), 0x44332211);
	check_equal(inw(TESTDEV_LATCH), 0x2211);
	check_equal(inw(TESTDEV_LATCH + 2), 0x4433);
	check_equal(inb(TESTDEV_LATCH), 0x11);
	check_equal(inb(TESTDEV_LATCH + 3), 0x44);
	outb(TESTDEV_LATCH + 2, 0xab);
	outw(TESTDEV_LATCH, 0xcdef);
	check_equal(inl(TESTDEV_LATCH), 0x44abcdef);
}

static void unaligned(void)
{
	outl(TESTDEV_LATCH, 0x44332211);
	check_equal(inw(TESTDEV_LATCH + 1), 0x3322);
	outw(TESTDEV_LATCH + 1, 0xaabb);
	check_equal(inl(TESTDEV_LATCH), 0x44aabb11);
}

static void bytewise(void)
{
	outl(TESTDEV_LATCH, 0x04030201);
	check_equal(inb(TESTDEV_BYTES), 0x01);
	check_equal(inb(TESTDEV_BYTES + 2), 0x03);
	outb(TESTDEV_BYTES + 3, 0x99);
	check_equal(inl(TESTDEV_LATCH), 0x99030201);
	outw(TESTDEV_BYTES + 2, 0x5577);
	check_equal(inl(TESTDEV_LATCH), 0x55770201);
}

/* IN must not touch the register bits above its width, except that 32 bits clear the upper half as
 * any move does. */
static void upper_bits(void)
{
	u64 v = 0x1122334455667788;

	outl(TESTDEV_LATCH, 0xa1b2c3d4);
	asm volatile("inb %1, %b0" : "+a"(v) : "Nd"((u16)TESTDEV_LATCH));
	check_equal(v, 0x11223344556677d4);
	asm volatile("inw %1, %w0" : "+a"(v) : "Nd"((u16)TESTDEV_LATCH));
	check_equal(v, 0x112233445566c3d4);
	asm volatile("inl %1, %k0" : "+a"(v) : "Nd"((u16)TESTDEV_LATCH));
	check_equal(v, 0xa1b2c3d4);
}

static void rep_outs(void)
{
	static const unsigned int widths[] = { 1, 2, 4 };
	unsigned int i, k;
	u32 want;

	for (k = 0; k < BUFFER; k++)
		buffer[k] = (u8)(k * 7 + 3);
	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		outl(TESTDEV_LATCH, 0);
		rep_out(buffer, TESTDEV_LATCH, BUFFER / widths[i], widths[i]);
		want = 0;
		memcpy(&want, buffer + BUFFER - widths[i], widths[i]); // the last of all stays
		check_equal(inl(TESTDEV_LATCH), want);
	}
}

static void rep_ins(void)
{
	unsigned int k;

	memset(buffer, 0, sizeof(buffer));
	outl(TESTDEV_LATCH, 0xddccbbaa);
	check_equal(rep_in(buffer + 100, TESTDEV_LATCH, BUFFER, 1), 0); // crosses a page
	check(all(buffer, 100, 0));
	check(all(buffer + 100, BUFFER, 0xaa));
	check(all(buffer + 100 + BUFFER, 100, 0));
	check_equal(rep_in(buffer, TESTDEV_LATCH, BUFFER / 2, 2), 0);
	for (k = 0; k < BUFFER / 2; k++)
		if (((u16 *)buffer)[k] != 0xbbaa)
			break;
	check_equal(k, BUFFER / 2);
	check_equal(rep_in(buffer + 1, TESTDEV_LATCH, BUFFER / 4, 4), 0); // misaligned
	check(!memcmp(buffer + 1 + BUFFER - 4, "\xaa\xbb\xcc\xdd", 4));
	check_equal(buffer[1 + BUFFER], 0xaa);
}

/* The direction flag turns the buffer round. */
static void rep_backwards(void)
{
	u8 *to = buffer + 15;
	u64 n = 16;

	memset(buffer, 0, 64);
	outl(TESTDEV_LATCH, 0x11);
	asm volatile("std; rep insb; cld" : "+D"(to), "+c"(n) : "d"((u16)TESTDEV_LATCH) : "memory");
	check(all(buffer, 16, 0x11));
	check(all(buffer + 16, 16, 0));
	check_equal((u64)to + 1, (u64)buffer);
}

static void unclaimed(void)
{
	check_equal(inb(NOBODY), 0xff);
	check_equal(inw(NOBODY), 0xffff);
	check_equal(inl(NOBODY), 0xffffffff);
	outb(NOBODY, 1);
	outw(NOBODY, 1);
	outl(NOBODY, 1);
	check_equal(inl(NOBODY), 0xffffffff);
	memset(buffer, 0, BUFFER);
	check_equal(rep_in(buffer, NOBODY, BUFFER / 4, 4), 0);
	check(all(buffer, BUFFER, 0xff));
	rep_out(buffer, NOBODY, BUFFER, 1);
}

static void last_port(void)
{
	check_equal(inb(0xffff), 0xff);
	outb(0xffff, 0);
	outl(0xfffc, 0);
	check_equal(inl(0xfffc), 0xffffffff);
}

const struct test tests[] = {
	{ "widths", widths },
	{ "unaligned", unaligned },
	{ "bytewise", bytewise },
	{ "upper-bits", upper_bits },
	{ "rep-outs", rep_outs },
	{ "rep-ins", rep_ins },
	{ "rep-backwards", rep_backwards },
	{ "unclaimed", unclaimed },
	{ "last-port", last_port },
	{},
};
