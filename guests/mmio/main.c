// SPDX-License-Identifier: Apache-2.0
// Memory-mapped I/O of every width, across pages, by string and read-modify-write instructions.
// Needs pc-testdev.
#include "guest.h"
#include "testdev.h"

#define NOBODY 0xd0000000
#define LAST (TESTDEV_MMIO + 0x10000)

static void widths(void)
{
	u64 a = TESTDEV_MMIO + 0x40;

	write64(a, 0x8877665544332211);
	check_equal(read64(a), 0x8877665544332211);
	check_equal(read32(a), 0x44332211);
	check_equal(read32(a + 4), 0x88776655);
	check_equal(read16(a + 6), 0x8877);
	check_equal(read8(a + 7), 0x88);
	write8(a, 0xa0);
	write16(a + 2, 0xb0b1);
	write32(a + 4, 0xc0c1c2c3);
	check_equal(read64(a), 0xc0c1c2c3b0b122a0);
}

static void unaligned(void)
{
	u64 a = TESTDEV_MMIO + 0x80, i;

	for (i = 0; i < 16; i++)
		write8(a + i, (u8)(0x10 + i));
	check_equal(read16(a + 1), 0x1211);
	check_equal(read32(a + 3), 0x16151413);
	check_equal(read64(a + 5), 0x1c1b1a1918171615);
	write32(a + 1, 0xdeadbeef);
	check_equal(read64(a), 0x171615deadbeef10);
}

/* One instruction, two pages of device: KVM splits it, the host must see both halves. */
static void page_straddling(void)
{
	u64 a = TESTDEV_MMIO + 0x1000;

	write64(a - 8, 0);
	write64(a, 0);
	write64(a - 4, 0x8877665544332211);
	check_equal(read32(a - 4), 0x44332211);
	check_equal(read32(a), 0x88776655);
	check_equal(read64(a - 4), 0x8877665544332211);
	write16(a - 1, 0xabcd);
	check_equal(read8(a - 1), 0xcd);
	check_equal(read8(a), 0xab);
}

static void string_moves(void)
{
	static const char text[] = "a device that behaves like memory";
	char back[sizeof(text)] = { 0 };
	u64 i;

	memcpy(PTR(TESTDEV_MMIO + 0x200), text, sizeof(text));
	for (i = 0; i < sizeof(text); i++)
		check_equal(read8(TESTDEV_MMIO + 0x200 + i), (u8)text[i]);
	memcpy(back, PTR(TESTDEV_MMIO + 0x200), sizeof(text));
	check(!memcmp(back, text, sizeof(text)));
}

static void read_modify_write(void)
{
	volatile u32 *p = PTR(TESTDEV_MMIO + 0x300);
	u32 old = 0x99;

	*p = 0x10;
	asm volatile("addl $5, %0" : "+m"(*p));
	check_equal(*p, 0x15);
	asm volatile("orl $0xf000, %0" : "+m"(*p));
	check_equal(*p, 0xf015);
	asm volatile("xchg %0, %1" : "+r"(old), "+m"(*p));
	check_equal(old, 0xf015);
	check_equal(*p, 0x99);
	asm volatile("notl %0" : "+m"(*p));
	check_equal(*p, ~0x99u);
}

static void extending_reads(void)
{
	u64 v;

	write32(TESTDEV_MMIO, 0xfffffe80);
	asm volatile("movzbl %1, %k0" : "=r"(v) : "m"(*(u8 *)TESTDEV_MMIO));
	check_equal(v, 0x80);
	asm volatile("movsbq %1, %0" : "=r"(v) : "m"(*(u8 *)TESTDEV_MMIO));
	check_equal(v, 0xffffffffffffff80);
	asm volatile("movswq %1, %0" : "=r"(v) : "m"(*(u16 *)TESTDEV_MMIO));
	check_equal(v, 0xfffffffffffffe80);
}

static void last_bytes(void)
{
	write64(LAST - 8, 0x0102030405060708);
	check_equal(read8(LAST - 1), 0x01);
	check_equal(read64(LAST - 8), 0x0102030405060708);
}

static void unclaimed(void)
{
	check_equal(read8(NOBODY), 0xff);
	check_equal(read16(NOBODY + 2), 0xffff);
	check_equal(read32(NOBODY + 4), 0xffffffff);
	check_equal(read64(NOBODY + 8), 0xffffffffffffffff);
	write64(NOBODY, 0);
	write8(NOBODY + 0x1000, 0);
	check_equal(read64(NOBODY), 0xffffffffffffffff);
}

/* Writes to memory the VMM unmaps and maps again must neither be lost nor fault. */
static void remapped_ram(void)
{
	static u64 page[512] __attribute__((aligned(4096)));
	u64 i;

	for (i = 0; i < 16; i++) {
		page[i] = i * 0x0101010101010101;
		outl(TESTDEV_REMAP, (u32)(u64)page);
		check_equal(READ_ONCE(page[i]), i * 0x0101010101010101);
	}
}

const struct test tests[] = {
	{ "widths", widths },
	{ "unaligned", unaligned },
	{ "page-straddling", page_straddling },
	{ "string-moves", string_moves },
	{ "read-modify-write", read_modify_write },
	{ "extending-reads", extending_reads },
	{ "last-bytes", last_bytes },
	{ "unclaimed", unclaimed },
	{ "remapped-ram", remapped_ram },
	{},
};
