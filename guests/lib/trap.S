/* SPDX-License-Identifier: Apache-2.0 */
/* A 16-byte stub a vector; all meet in trap_common: builds a struct frame, calls trap_handle(). */
	.text
	.code64
	.globl trap_stubs
	.align 16
trap_stubs:
	.set vector, 0
	.rept 256
	.align 16
	/* 8, 10-14, 17, 21, 29 and 30 push an error code */
	.if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
	.if vector != 29 && vector != 30
	push $0
	.endif
	.endif
	push $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	push %r15
	push %r14
	push %r13
	push %r12
	push %r11
	push %r10
	push %r9
	push %r8
	push %rbp
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rbx
	push %rax
	cld
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $-16, %rsp
	call trap_handle
	mov %rbp, %rsp
	pop %rax
	pop %rbx
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	pop %rbp
	pop %r8
	pop %r9
	pop %r10
	pop %r11
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	add $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
