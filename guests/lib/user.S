/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

	.text
	.code64
	.globl user_enter, user_return
/* user_enter(entry, user stack top, address of TSS.RSP0): leaves by IRETQ, back by user_return */
user_enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, user_saved_rsp
	mov %rsp, (%rdx)		/* traps from ring 3 go on here, on the CPU's own stack */
	pushq $USER_DATA
	push %rsi
	pushq $2
	pushq $USER_CODE
	push %rdi
	iretq
user_return:
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.bss
	.align 8
	.globl user_saved_rsp
user_saved_rsp:
	.skip 8

	.section .note.GNU-stack, "", @progbits
