// SPDX-License-Identifier: Apache-2.0
// Registers, tables, MSRs, translations and caches.
// clang-format off
#include "steps.h"

extern u64 pml4[512];

void step_flags(void)
{
	u64 v;

	asm volatile("pushfq; orq $0x240000, (%%rsp); popfq; pushfq; pop %0" : "=r"(v) :: "memory");
	check_equal(v & 0x240000, 0x240000);	// AC and ID
	asm volatile("push $2; popfq" ::: "memory");
}

void step_control_registers(void)
{
	WRITE_CR(0, READ_CR(0) | 1 << 16 | 1 << 5);	// WP, NE
	check_equal(READ_CR(0) & (1 << 16 | 1 << 5), 1 << 16 | 1 << 5);
	WRITE_CR(2, 0x1234);
	check_equal(READ_CR(2), 0x1234);
	WRITE_CR(3, READ_CR(3));
	WRITE_CR(8, 3);
	check_equal(READ_CR(8), 3);
	WRITE_CR(8, 0);
	cr4_set(CR4_PGE);
	check(READ_CR(4) & CR4_PGE);
}

void step_debug_registers(void)
{
	u64 v;

	STEP("mov %0, %%dr7", :: "r"(0x400ull));
	STEP("mov %0, %%dr0", :: "r"(0x1234ull));
	STEP("mov %%dr0, %0", : "=r"(v));
	check_equal(v, 0x1234);
	STEP("mov %%dr6, %0", : "=r"(v));
}

void step_task_switched_flag(void)
{
	WRITE_CR(0, READ_CR(0) | 8);
	STEP("clts", ::: "memory");
	check(!(READ_CR(0) & 8));
}

void step_descriptor_tables(void)
{
	u8 pointer[10];
	u16 selector = 1;

	STEP("sgdt (%0)", :: "r"(pointer) : "memory");
	STEP("lgdt (%0)", :: "r"(pointer) : "memory");
	STEP("sidt (%0)", :: "r"(pointer) : "memory");
	STEP("lidt (%0)", :: "r"(pointer) : "memory");
	STEP("lldt %w0", :: "r"(0));
	STEP("str %0", : "=r"(selector));
	check_equal(selector, 0);
	STEP("sldt %0", : "=r"(selector));
}

void step_segments(void)
{
	u64 limit = 0;

	STEP("mov %0, %%fs; mov %1, %%fs", :: "r"(DATA64), "r"(0));
	STEP("mov %0, %%gs; mov %1, %%gs", :: "r"(DATA64), "r"(0));
	STEP("mov %0, %%ss", :: "r"(DATA64));
	STEP("lsl %1, %0", : "=r"(limit) : "r"((u64)USER_DATA));
	STEP("lar %1, %0", : "=r"(limit) : "r"((u64)USER_DATA));
	STEP("verw %w0", :: "r"(DATA64));
}

void step_swapgs(void)
{
	wrmsr(MSR_KERNEL_GS_BASE, 0x7000);
	STEP("swapgs", ::: "memory");
	check_equal(rdmsr(MSR_GS_BASE), 0x7000);
	wrmsr(MSR_GS_BASE, 0);
}

void step_fsgsbase(void)
{
	u64 v = 0;

	if (!leaf7_ebx(0))
		return;
	cr4_set(CR4_FSGSBASE);
	STEP("wrgsbase %0", :: "r"(0x5000ull));
	STEP("rdgsbase %0", : "=r"(v));
	check_equal(v, 0x5000);
	STEP("wrfsbase %0", :: "r"(0ull));
}

/* Reset values and those Linux writes early. */
void step_msrs(void)
{
	static const u32 list[] = {
		0x10, 0x1b, 0x174, 0x175, 0x176, 0x277, 0x2ff, 0xc0000080, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
	};
	u32 i, failed;
	u64 v;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		failed = rdmsr_try(list[i], &v);
		if (failed != NO_FAULT)
			printf("# MSR %x cannot be read\n", list[i]);
		check_equal(failed, NO_FAULT);
		if (list[i] != 0x10 && list[i] != 0x1b)
			check_equal(wrmsr_try(list[i], v), NO_FAULT);
	}
}

/* The checks hardware makes, and a TSC that can be set. */
void step_exact_msrs(void)
{
	u64 now = rdtsc();

	check_equal(wrmsr_try(MSR_PAT, 0x0202020202020202), VEC_GP);	// no such memory type
	wrmsr(MSR_TSC, now + (1ull << 40));
	check(rdtsc() >= now + (1ull << 40));
	wrmsr(MSR_TSC, now);
}

void step_speculation_msrs(void)
{
	u64 v;

	if (cpuid(0, 0).eax < 7 || !(cpuid(7, 0).edx & (1 << 26)))
		return;
	check_equal(rdmsr_try(0x48, &v), NO_FAULT);	// SPEC_CTRL
	check_equal(wrmsr_try(0x49, 1), NO_FAULT);	// PRED_CMD: IBPB
}

void step_invalidate(void)
{
	struct {
		u64 pcid, address;
	} d = { 0, 0 };

	STEP("invlpg (%0)", :: "r"(area) : "memory");
	if (leaf7_ebx(10))
		STEP("invpcid (%0), %1", :: "r"(&d), "r"(2ull) : "memory");
}

void step_pcid(void)
{
	if (!leaf1_ecx(17))
		return;
	cr4_set(CR4_PCIDE);
	WRITE_CR(3, READ_CR(3) | 1);
	WRITE_CR(3, (READ_CR(3) & ~0xfffull) | 1ull << 63);
	cr4_clear(CR4_PCIDE);
}

/* With the user bit off the whole map: we stand on pages that ring 3 was given. */
void step_smap(void)
{
	if (!leaf7_ebx(20))
		return;
	pml4[0] &= ~4ull;
	WRITE_CR(3, READ_CR(3));
	cr4_set(CR4_SMAP);
	STEP("stac; clac", ::: "memory");
	cr4_clear(CR4_SMAP);
	pml4[0] |= 4;
	WRITE_CR(3, READ_CR(3));
}

void step_caches(void)
{
	STEP("wbinvd", ::: "memory");
	STEP("clflush (%0)", :: "r"(area) : "memory");
	if (leaf7_ebx(23))
		STEP("clflushopt (%0)", :: "r"(area) : "memory");
	if (leaf7_ebx(24))
		STEP("clwb (%0)", :: "r"(area) : "memory");
	STEP("prefetcht0 (%0)", :: "r"(area) : "memory");
}
