/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_STEPS_H
#define PROBE_STEPS_H

#include "trap.h"
#include "types.h"

extern u32 syscalls, gate_calls;
extern const u32 default_mxcsr;

/* ring 3: each leaves its number in RAX */
void user_number(void);		/* 0x5a */
void user_syscall(void);	/* 0x5b, after one SYSCALL */
void user_int(void);		/* 0x5c, after one INT 0x82 */
void user_leave(void);		/* nothing */
void syscall_entry(void);
void count_gate(struct frame *f);
#endif
