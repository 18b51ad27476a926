// SPDX-License-Identifier: Apache-2.0
// A Xen HVM domain that ends by a hypercall: end=poweroff, crash, down or watchdog.
#include "guest.h"

#define DOMID_SELF 0x7ff0
#define VCPU_OP 24
#define SCHED_OP 29
#define AMD 0x444d4163 /* "cAMD" */

static long hypercall(u64 number, u64 a, u64 b)
{
	long result;

	if (cpuid(0, 0).ecx == AMD)
		asm volatile("vmmcall"
			     : "=a"(result), "+D"(a), "+S"(b)
			     : "a"(number)
			     : "memory", "rdx", "r10", "r8", "r9");
	else
		asm volatile("vmcall"
			     : "=a"(result), "+D"(a), "+S"(b)
			     : "a"(number)
			     : "memory", "rdx", "r10", "r8", "r9");
	return result;
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
