// SPDX-License-Identifier: Apache-2.0
// Model-specific registers: those an operating system writes must read back, impossible values and
// numbers must fault.
#include "guest.h"

#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_MTRR_CAP 0xfe
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_MTRR_BASE0 0x200
#define MSR_MISC_ENABLE 0x1a0
#define MSR_MCG_CAP 0x179
#define MSR_NOBODY 0x4000bead
#define EFER_SCE (1 << 0)
#define EFER_LMA (1 << 10)
#define EFER_NXE (1 << 11)
#define CANONICAL 0xffff800012345678

static void reads_back(u32 msr, u64 v)
{
	u64 old, got;

	check_equal(rdmsr_try(msr, &old), NO_FAULT);
	check_equal(wrmsr_try(msr, v), NO_FAULT);
	check_equal(rdmsr_try(msr, &got), NO_FAULT);
	check_equal(got, v);
	wrmsr_try(msr, old);
}

static void syscall_msrs(void)
{
	reads_back(MSR_STAR, 0x0023001000000000);
	reads_back(MSR_LSTAR, CANONICAL);
	reads_back(MSR_CSTAR, CANONICAL);
	reads_back(MSR_SFMASK, 0x47700);
}

static void sysenter_msrs(void)
{
	reads_back(MSR_SYSENTER_CS, 0x10);
	reads_back(MSR_SYSENTER_ESP, CANONICAL);
	reads_back(MSR_SYSENTER_EIP, CANONICAL);
}

static void base_msrs(void)
{
	reads_back(MSR_FS_BASE, CANONICAL);
	reads_back(MSR_GS_BASE, CANONICAL);
	reads_back(MSR_KERNEL_GS_BASE, 0x7fff12345678);
}

static void swapgs(void)
{
	wrmsr(MSR_GS_BASE, 0x1111);
	wrmsr(MSR_KERNEL_GS_BASE, 0x2222);
	asm volatile("swapgs");
	check_equal(rdmsr(MSR_GS_BASE), 0x2222);
	check_equal(rdmsr(MSR_KERNEL_GS_BASE), 0x1111);
}

/* A segment base has to be used by the addresses it applies to. */
static void gs_relative(void)
{
	static u64 word = 0xfeedface;
	u64 v;

	wrmsr(MSR_GS_BASE, (u64)&word - 0x100);
	asm volatile("mov %%gs:0x100, %0" : "=r"(v));
	check_equal(v, 0xfeedface);
	wrmsr(MSR_GS_BASE, 0);
}

static void efer(void)
{
	u64 v = rdmsr(MSR_EFER);

	check(v & EFER_LMA);
	check_equal(wrmsr_try(MSR_EFER, v | EFER_SCE | EFER_NXE), NO_FAULT);
	check_equal(rdmsr(MSR_EFER), v | EFER_SCE | EFER_NXE);
	wrmsr(MSR_EFER, v);
	// LME cannot change while paging is on
	check_equal(wrmsr_try(MSR_EFER, v & ~0x100ull), VEC_GP);
	check_equal(rdmsr(MSR_EFER), v);
}

static void pat(void)
{
	reads_back(MSR_PAT, 0x0007010600070106);
	check_equal(wrmsr_try(MSR_PAT, 0x0202020202020202), VEC_GP); // 2 is no memory type
}

static void mtrr(void)
{
	u64 cap;

	if (!(cpuid(1, 0).edx & (1 << 12))) {
		printf("# CPUID offers none\n");
		return;
	}
	check_equal(rdmsr_try(MSR_MTRR_CAP, &cap), NO_FAULT);
	printf("# MTRR capabilities %lx\n", cap);
	reads_back(MSR_MTRR_DEF_TYPE, 0xc06);
	if (cap & 0xff)
		reads_back(MSR_MTRR_BASE0, 0x80000006);
}

static void tsc(void)
{
	u64 a = rdtsc(), b;

	check(rdtsc() > a);
	b = rdmsr(MSR_TSC);
	check(b > a && b < a + tsc_khz() * 1000);
}

static void tsc_write(void)
{
	u64 old = rdtsc();

	check_equal(wrmsr_try(MSR_TSC, old + (1ull << 40)), NO_FAULT);
	check(rdtsc() >= old + (1ull << 40));
	check_equal(wrmsr_try(MSR_TSC, old), NO_FAULT);
}

static void tsc_aux(void)
{
	u32 aux;

	if (!(cpuid(0x80000001, 0).edx & (1 << 27))) {
		printf("# CPUID offers none\n");
		return;
	}
	reads_back(MSR_TSC_AUX, 0x12345);
	wrmsr(MSR_TSC_AUX, 0x777);
	asm volatile("rdtscp" : "=c"(aux)::"eax", "edx");
	check_equal(aux, 0x777);
}

static void apic_base(void)
{
	u64 v = rdmsr(MSR_APIC_BASE);

	check_equal(v & 0xfffff000, 0xfee00000);
	check(v & (1 << 8)); // this is the BSP
	check_equal(wrmsr_try(MSR_APIC_BASE, v | 1ull << 63), VEC_GP);
}

static void machine_check(void)
{
	u64 cap;

	if (!(cpuid(1, 0).edx & (1 << 14))) {
		printf("# CPUID offers none\n");
		return;
	}
	check_equal(rdmsr_try(MSR_MCG_CAP, &cap), NO_FAULT);
	printf("# machine check capabilities %lx\n", cap);
}

static void unknown(void)
{
	u64 v;

	check_equal(rdmsr_try(MSR_NOBODY, &v), VEC_GP);
	check_equal(wrmsr_try(MSR_NOBODY, 1), VEC_GP);
}

static void hypervisor_leaf(void)
{
	struct cpuid r = cpuid(0x40000000, 0);

	check(cpuid(1, 0).ecx & (1u << 31));
	check(!memcmp((u32[]){ r.ebx, r.ecx, r.edx }, "KVMKVMKVM\0\0\0", 12));
	check(r.eax >= 0x40000001);
}

const struct test tests[] = {
	{ "syscall", syscall_msrs },
	{ "sysenter", sysenter_msrs },
	{ "bases", base_msrs },
	{ "swapgs", swapgs },
	{ "gs-relative", gs_relative },
	{ "efer", efer },
	{ "pat", pat },
	{ "mtrr", mtrr },
	{ "tsc", tsc },
	{ "tsc-write", tsc_write },
	{ "tsc-aux", tsc_aux },
	{ "apic-base", apic_base },
	{ "machine-check", machine_check },
	{ "unknown", unknown },
	{ "hypervisor-leaf", hypervisor_leaf },
	{},
};
