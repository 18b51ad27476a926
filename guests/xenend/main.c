// SPDX-License-Identifier: Apache-2.0
// A Xen HVM domain that ends by a hypercall: end=poweroff, crash, down, both (vCPUs), watchdog,
// code or int1.
#include "guest.h"

#define DOMID_SELF 0x7ff0
#define VCPU_OP 24
#define SCHED_OP 29
#define AMD 0x444d4163 /* "cAMD" */

/* As kernels have them: the one place for each vendor. */
asm(".balign 16\n"
    "call_amd: vmmcall\n"
    "	ret\n"
    "	.balign 16\n"
    "call_intel: vmcall\n"
    "	ret\n");
extern const u8 call_amd[], call_intel[];

static long hypercall(u64 number, u64 a, u64 b)
{
	long result;

	asm volatile("call *%[site]"
		     : "=a"(result), "+D"(a), "+S"(b)
		     : "a"(number), [site] "r"(cpuid(0, 0).ecx == AMD ? call_amd : call_intel)
		     : "memory", "rdx", "r10", "r8", "r9");
	return result;
}

static u32 debugs;
static u64 cause;

static void on_debug(struct frame *f)
{
	(void)f;
	asm volatile("mov %%dr6, %0" : "=r"(cause));
	debugs++;
}

/* Where calls are told by breakpoints, this is told too, and is none. */
static bool int1(void)
{
	trap_set(VEC_DB, on_debug);
	asm volatile(".byte 0xf1" ::: "memory");
	asm volatile(".byte 0xf1" ::: "memory");
	return debugs == 2 && !(cause & 0xe00f);
}

static u32 here;

/* Two at the same moment: each finds the other one running. */
static void down_together(void)
{
	atomic_inc(&here);
	while (READ_ONCE(here) < 2)
		pause();
	hypercall(VCPU_OP, 2, this_cpu()->index);
}

static void shut_down(u32 reason)
{
	hypercall(SCHED_OP, 2, (u64)&reason);
}

int guest_main(void)
{
	u32 dog[2] = { 0, 1 };

	if (arg_lists("end", "poweroff")) {
		shut_down(0);
	} else if (arg_lists("end", "crash")) {
		shut_down(3);
	} else if (arg_lists("end", "down")) {
		hypercall(VCPU_OP, 2, 0); /* itself, the last one */
	} else if (arg_lists("end", "both")) {
		smp_start(down_together);
		down_together();
	} else if (arg_lists("end", "int1")) {
		if (int1())
			shut_down(0);
	} else if (arg_lists("end", "watchdog")) {
		if (hypercall(SCHED_OP, 6, (u64)dog) == 1)
			delay_us(60000000);
	} else if (arg_lists("end", "code")) {
		u32 code = 3; /* what the next one is taken for */
		hypercall(SCHED_OP, 5, (u64)&code);
		shut_down(0);
	}
	return 7;
}
