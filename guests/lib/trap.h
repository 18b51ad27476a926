/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and exceptions. */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

#include "types.h"

struct frame {
	u64 rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

#define VEC_DE 0
#define VEC_DB 1
#define VEC_BP 3
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_GP 13
#define VEC_PF 14
#define NO_FAULT 256

typedef void (*trap_fn)(struct frame *f);

void trap_init(void); /* builds the IDT, loads it */
void trap_load(void); /* loads it on another CPU */
void trap_user_gate(unsigned int vector); /* lets ring 3 call it by INT */
/* NULL gives back the default: exceptions panic, interrupts are counted as spurious. */
void trap_set(unsigned int vector, trap_fn fn);
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * An instruction that is allowed to fault: execution goes on after it either way and fault_taken()
 * tells what happened. Use: fault_clear(); asm volatile(FAULTABLE("rdmsr") ...); vector =
 * fault_taken();
 */
#define FAULTABLE(insn) \
	"771: " insn "\n772:\n" \
	"\t.pushsection .extable, \"a\"\n\t.quad 771b, 772b\n\t.popsection\n"
void fault_clear(void);
u32 fault_taken(void); /* vector, or NO_FAULT */
u64 fault_error(void);

u32 rdmsr_try(u32 msr, u64 *ret);
u32 wrmsr_try(u32 msr, u64 v);
#endif
