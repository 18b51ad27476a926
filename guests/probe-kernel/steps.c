// SPDX-License-Identifier: Apache-2.0
// The ring 3 side of the probe and the entries it comes back through.
#include "steps.h"
#include "user.h"

u32 syscalls, gate_calls;
const u32 default_mxcsr = 0x1f80;

void count_gate(struct frame *f)
{
	(void)f;
	gate_calls++;
}

asm(".text\n"
    ".globl user_number, user_syscall, user_int, user_leave, syscall_entry\n"
    "user_number: mov $0x5a, %eax\n" USER_EXIT "\n"
    "user_syscall: syscall; mov $0x5b, %eax\n" USER_EXIT "\n"
    "user_int: int $0x82; mov $0x5c, %eax\n" USER_EXIT "\n"
    "user_leave: " USER_EXIT "\n"
    "syscall_entry: incl syscalls; sysretq\n");
