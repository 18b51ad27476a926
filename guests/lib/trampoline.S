/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copied to TRAMPOLINE; every AP starts here in real mode after INIT and SIPI. Takes the next free
 * stack, calls smp_ap_entry().
 */
#include "boot.h"

#define AT(label) (label - trampoline + TRAMPOLINE)

	.section .rodata
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl AT(tramp_gdt_pointer)
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $CODE32, $AT(tramp32)
	.code32
tramp32:
	mov $DATA64, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr4, %eax
	or $(1 << 5), %eax
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $(1 << 8), %eax
	wrmsr
	mov %cr0, %eax
	or $(1 << 31), %eax
	mov %eax, %cr0
	ljmp $CODE64, $AT(tramp64)
	.code64
tramp64:
	lgdt gdt_pointer
	mov $1, %edi
	lock xadd %edi, smp_next_cpu
	lea 1(%rdi), %eax		/* top of stack number edi */
	shl $STACK_SHIFT, %rax
	lea stacks(%rax), %rsp
	mov $smp_ap_entry, %eax
	call *%rax
1:	cli
	hlt
	jmp 1b
	.align 8
tramp_gdt_pointer:
	.word 0x37
	.long gdt
trampoline_end:

	.section .note.GNU-stack, "", @progbits
