// SPDX-License-Identifier: Apache-2.0
// x87, SSE, AVX and how their state is saved.
// clang-format off
#include "steps.h"

static const u32 default_mxcsr = 0x1f80;

void step_x87(void)
{
	WRITE_CR(0, (READ_CR(0) | 2) & ~4ull);		// MP, no EM
	STEP("fninit", ::: "memory");
	STEP("fnstcw (%0)", :: "r"(area) : "memory");
	STEP("fnstsw %%ax", ::: "rax");
	STEP("fwait", ::: "memory");
}

void step_sse(void)
{
	WRITE_CR(0, (READ_CR(0) | 2) & ~4ull);
	cr4_set(CR4_OSFXSR | CR4_OSXMMEXCPT);
	STEP("movups (%0), %%xmm0", :: "r"(area));
	STEP("movaps %%xmm0, (%0)", :: "r"(area) : "memory");
	STEP("movntdq %%xmm0, (%0)", :: "r"(area) : "memory");
	STEP("pxor %%xmm1, %%xmm1", ::: "memory");
	STEP("paddd %%xmm0, %%xmm1", ::: "memory");
	STEP("ldmxcsr (%0)", :: "r"(&default_mxcsr));
}

void step_fxsave(void)
{
	cr4_set(CR4_OSFXSR);
	STEP("fxsave64 (%0)", :: "r"(area) : "memory");
	STEP("fxrstor64 (%0)", :: "r"(area) : "memory");
}

void step_xsave(void)
{
	u32 low = 0, high = 0;

	if (!leaf1_ecx(26))
		return;
	cr4_set(CR4_OSXSAVE);
	STEP("xgetbv", : "=a"(low), "=d"(high) : "c"(0));
	STEP("xsetbv", :: "a"(3), "d"(0), "c"(0) : "memory");
	memset(area, 0, sizeof(area));
	STEP("xsave64 (%0)", :: "r"(area), "a"(3), "d"(0) : "memory");
	STEP("xrstor64 (%0)", :: "r"(area), "a"(3), "d"(0) : "memory");
}

void step_avx(void)
{
	u32 low = cpuid(0xd, 0).eax;

	if (!leaf1_ecx(26) || !leaf1_ecx(28) || !(low & 4))
		return;
	cr4_set(CR4_OSXSAVE);
	STEP("xsetbv", :: "a"(7), "d"(0), "c"(0) : "memory");
	STEP("vmovups (%0), %%ymm0", :: "r"(area));
	STEP("vzeroupper", ::: "memory");
}
