// SPDX-License-Identifier: Apache-2.0
// Hyper-V's leaves and registers beside those of KVM or of a Xen domain, which stand 0x100 higher.
// "other=xen": a Xen domain's.
#include "guest.h"

#define HYPERV 0x40000000
#define OTHER 0x40000100
#define GUEST_OS_ID 0x40000000
#define HYPERCALL 0x40000001
#define VP_INDEX 0x40000002
#define TIME_REF_COUNT 0x40000020
#define REFERENCE_TSC 0x40000021
#define ENABLE 1
#define INVALID_CODE 2 /* HV_STATUS_INVALID_HYPERCALL_CODE */
#define ACCESS_DENIED 6 /* HV_STATUS_ACCESS_DENIED */
#define POST_MESSAGE 0x5c
#define QUERY_CAPABILITIES 0x8001 /* of extended calls */
#define XEN_VERSION 17

static u8 pages[3][4096] __attribute__((aligned(4096)));

static void leaves(void)
{
	struct cpuid base = cpuid(HYPERV, 0), features = cpuid(HYPERV + 3, 0);

	check_equal(base.eax, HYPERV + 5);
	check_equal(base.ebx, 0x7263694d); /* Micr */
	check_equal(base.ecx, 0x666f736f); /* osof */
	check_equal(base.edx, 0x76482074); /* t Hv */
	check_equal(cpuid(HYPERV + 1, 0).eax, 0x31237648); /* Hv#1 */
	check_equal(features.eax & 0x262, 0x262); /* clocks, hypercalls, VP index */
	check_equal(features.eax & 0x0c, 0); /* no synthetic interrupts and timers */
	check_equal(cpuid(HYPERV + 4, 0).eax, 1 << 5);
}

static void other_leaves(void)
{
	struct cpuid base = cpuid(OTHER, 0);

	if (arg_lists("other", "xen")) {
		check_equal(base.ebx, 0x566e6558); /* XenV */
		check_equal(base.eax, OTHER + 4);
		check_equal(cpuid(OTHER + 2, 0).ebx, 0x40000200);
	} else {
		check_equal(base.ebx, 0x4b4d564b); /* KVMK */
		check(base.eax >= OTHER + 1);
	}
}

static void clocks(void)
{
	u64 before = rdmsr(TIME_REF_COUNT);
	u64 *page = (u64 *)pages[0];

	check_equal(rdmsr(VP_INDEX), 0);
	check(rdmsr(TIME_REF_COUNT) > before);
	wrmsr(REFERENCE_TSC, (u64)page | ENABLE);
	check_equal(rdmsr(REFERENCE_TSC), (u64)page | ENABLE);
}

/* The page holds the instruction that this processor has; register arguments, as in the TLFS. */
static u64 call_status(u64 code)
{
	u64 status;

	register u64 output asm("r8") = 0;
	asm volatile("call *%[page]"
		     : "=a"(status), "+r"(output)
		     : [page] "r"(pages[1]), "c"(code), "d"(0ull)
		     : "memory", "r9", "r10", "r11");
	return status & 0xffff;
}

static void hypercalls(void)
{
	wrmsr(GUEST_OS_ID, 0x8100000000000001); /* an open source system */
	wrmsr(HYPERCALL, (u64)pages[1] | ENABLE);
	check_equal(call_status(0xffff), INVALID_CODE);
	/* Not shown in leaf 3. */
	check_equal(call_status(POST_MESSAGE), ACCESS_DENIED);
	check_equal(call_status(QUERY_CAPABILITIES), ACCESS_DENIED);
}

static void xen_calls(void)
{
	long (*version)(u64, u64) = (void *)(pages[2] + XEN_VERSION * 32);

	wrmsr(cpuid(OTHER + 2, 0).ebx, (u64)pages[2]);
	check_equal(version(7, 0), 4096); /* XENVER_pagesize */
}

const struct test tests[] = {
	{ "leaves", leaves },	      { "other-leaves", other_leaves }, { "clocks", clocks },
	{ "hypercalls", hypercalls }, { "xen-calls", xen_calls },	{},
};
