// SPDX-License-Identifier: Apache-2.0
// Page tables of our own: faults and their error codes, all page sizes, RAM above 4 GiB. Command
// line: mem=MiB.
#include "guest.h"

#define P 1ull
#define W 2ull
#define A (1ull << 5)
#define D (1ull << 6)
#define LARGE (1ull << 7)
#define NX (1ull << 63)
#define RESERVED_2M (1ull << 13) /* must be zero in an entry that maps 2 MiB */
#define PF_PRESENT 1
#define PF_WRITE 2
#define PF_RESERVED 8
#define PF_FETCH 16
#define EFER_NXE (1 << 11)
#define CR0_WP (1 << 16)

#define WINDOW 0x8000000000ull /* 512 GiB: PML4 entry 1 */
#define WINDOW_1G (WINDOW + (1ull << 30))
#define WINDOW_HIGH (WINDOW + (8ull << 30))
#define HOLE 0xc0000000ull
#define ABOVE_4G (1ull << 32)

extern u64 pml4[512];
static u64 w_pdpt[512] __attribute__((aligned(4096)));
static u64 w_pd[512] __attribute__((aligned(4096)));
static u64 w_pt[512] __attribute__((aligned(4096)));
static u8 frame[2][4096] __attribute__((aligned(4096)));

/* Maps WINDOW by 4 KiB pages; entry 0 is the one under test. */
static void map(u64 entry)
{
	pml4[1] = (u64)w_pdpt | P | W;
	w_pdpt[0] = (u64)w_pd | P | W;
	w_pd[0] = (u64)w_pt | P | W;
	WRITE_ONCE(w_pt[0], entry);
	invlpg(WINDOW);
}

static u32 touch_read(u64 at)
{
	u64 v;

	fault_clear();
	asm volatile(FAULTABLE("mov (%1), %0") : "=r"(v) : "r"(at) : "memory");
	return fault_taken();
}

static u32 touch_write(u64 at)
{
	fault_clear();
	asm volatile(FAULTABLE("movb $1, (%0)")::"r"(at) : "memory");
	return fault_taken();
}

static void not_present(void)
{
	map(0);
	check_equal(touch_read(WINDOW + 0x123), VEC_PF);
	check_equal(fault_error(), 0);
	check_equal(READ_CR(2), WINDOW + 0x123);
	check_equal(touch_write(WINDOW), VEC_PF);
	check_equal(fault_error(), PF_WRITE);
}

static void mapped(void)
{
	map((u64)frame[0] | P | W);
	WRITE_ONCE(frame[0][5], 0x77);
	check_equal(read8(WINDOW + 5), 0x77);
	write8(WINDOW + 6, 0x88);
	check_equal(READ_ONCE(frame[0][6]), 0x88);
}

static void write_protected(void)
{
	map((u64)frame[0] | P);
	WRITE_CR(0, READ_CR(0) | CR0_WP);
	check_equal(touch_read(WINDOW), NO_FAULT);
	check_equal(touch_write(WINDOW), VEC_PF);
	check_equal(fault_error(), PF_PRESENT | PF_WRITE);
	WRITE_CR(0, READ_CR(0) & ~(u64)CR0_WP);
	check_equal(touch_write(WINDOW), NO_FAULT);
}

static void no_execute(void)
{
	frame[0][0] = 0xc3; // ret
	map((u64)frame[0] | P | W);
	((void (*)(void))WINDOW)();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	map((u64)frame[0] | P | W | NX);
	check_equal(touch_read(WINDOW), NO_FAULT);
	fault_clear();
	// the fault is taken at WINDOW, not here: its handler below returns to the caller
	((void (*)(void))WINDOW)();
	check_equal(fault_taken(), VEC_PF);
	check_equal(fault_error(), PF_PRESENT | PF_FETCH);
}

static void on_fetch_fault(struct frame *f)
{
	this_cpu()->fault_vector = VEC_PF;
	this_cpu()->fault_error = f->error;
	if (f->rip != WINDOW)
		panic("page fault at %lx, address %lx", f->rip, READ_CR(2));
	f->rip = *(u64 *)f->rsp;
	f->rsp += 8;
}

static void no_execute_with_handler(void)
{
	trap_set(VEC_PF, on_fetch_fault);
	no_execute();
	trap_set(VEC_PF, NULL);
}

static void reserved_bit(void)
{
	map(0);
	w_pd[1] = P | W | LARGE | RESERVED_2M;
	check_equal(touch_read(WINDOW + (2 << 20)), VEC_PF);
	check(fault_error() & PF_RESERVED);
}

static void accessed_dirty(void)
{
	map((u64)frame[0] | P | W);
	check(!(READ_ONCE(w_pt[0]) & (A | D)));
	touch_read(WINDOW);
	check_equal(READ_ONCE(w_pt[0]) & (A | D), A);
	touch_write(WINDOW);
	check_equal(READ_ONCE(w_pt[0]) & (A | D), A | D);
}

static void remap(void)
{
	frame[0][0] = 1;
	frame[1][0] = 2;
	map((u64)frame[0] | P | W);
	check_equal(read8(WINDOW), 1);
	map((u64)frame[1] | P | W); // with invlpg
	check_equal(read8(WINDOW), 2);
	WRITE_ONCE(w_pt[0], (u64)frame[0] | P | W);
	WRITE_CR(3, READ_CR(3)); // flushes all
	check_equal(read8(WINDOW), 1);
}

static void huge_2m(void)
{
	map(0);
	w_pd[1] = 0x0 | P | W | LARGE; // low memory again
	memcpy(PTR(0x9000), "two megabytes", 14);
	check(!memcmp(PTR(WINDOW + (2 << 20) + 0x9000), "two megabytes", 14));
}

static void huge_1g(void)
{
	map(0);
	if (!(cpuid(0x80000001, 0).edx & (1 << 26))) {
		printf("# CPUID offers none\n");
		return;
	}
	w_pdpt[1] = 0x0 | P | W | LARGE;
	memcpy(PTR(0x9000), "one gigabyte", 13);
	check(!memcmp(PTR(WINDOW_1G + 0x9000), "one gigabyte", 13));
}

static void not_canonical(void)
{
	check_equal(touch_read(0x8000000000000000), VEC_GP);
}

/* A word in every 16 MiB of RAM above 4 GiB, written first, read back after: no two may be the same
 * memory. */
static void above_4g(void)
{
	static u64 pd[8][512] __attribute__((aligned(4096)));
	u64 high = arg_u64("mem", 0) << 20, step = 16 << 20, at, i, bad = 0;

	high = high > HOLE ? high - HOLE : 0;
	printf("# %lu MiB above 4 GiB\n", high >> 20);
	if (high > 8ull << 30)
		high = 8ull << 30;
	map(0);
	for (i = 0; i < 8; i++)
		w_pdpt[8 + i] = (u64)pd[i] | P | W;
	for (i = 0; i < 8 * 512; i++)
		pd[i / 512][i % 512] = (ABOVE_4G + (i << 21)) | P | W | LARGE;
	WRITE_CR(3, READ_CR(3));
	for (at = 0; at < high; at += step)
		write64(WINDOW_HIGH + at + 8, at ^ 0x5a5a5a5a5a5a5a5a);
	for (at = 0; at < high; at += step)
		bad += read64(WINDOW_HIGH + at + 8) != (at ^ 0x5a5a5a5a5a5a5a5a);
	check_equal(bad, 0);
	if (high) {
		write64(WINDOW_HIGH + high - 8, 0x1122334455667788);
		check_equal(read64(WINDOW_HIGH + high - 8), 0x1122334455667788);
	}
}

const struct test tests[] = {
	{ "not-present", not_present },
	{ "mapped", mapped },
	{ "write-protected", write_protected },
	{ "no-execute", no_execute_with_handler },
	{ "reserved-bit", reserved_bit },
	{ "accessed-dirty", accessed_dirty },
	{ "remap", remap },
	{ "huge-2m", huge_2m },
	{ "huge-1g", huge_1g },
	{ "not-canonical", not_canonical },
	{ "above-4g", above_4g },
	{},
};
