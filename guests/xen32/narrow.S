/* SPDX-License-Identifier: Apache-2.0 */
/* Entered by PVH in flat 32-bit protected mode, which it never leaves: no paging, one CPU. */
#include "boot.h"

#define CODE 0x08
#define DATA 0x10

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18			/* name size, desc size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start_pvh

	.section .head, "ax"
	.globl start_pvh
start_pvh:
	cli
	cld
	mov %ebx, boot_info
	movl $BOOT_PVH, boot_kind
	mov $stack_top, %esp
	lgdt gdt_pointer
	ljmp $CODE, $1f
1:	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	call narrow_main
1:	cli
	hlt
	jmp 1b

	.text
/* The one place of hypercalls for each vendor, as kernels have them. */
	.balign 32
	.globl call_amd, call_intel
call_amd:
	vmmcall
	ret
	.balign 32
call_intel:
	vmcall
	ret

/* hypercall_at(instruction, number, arguments) */
	.globl hypercall_at
hypercall_at:
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov 24(%esp), %eax
	mov 28(%esp), %ebp
	mov 0(%ebp), %ebx
	mov 4(%ebp), %ecx
	mov 8(%ebp), %edx
	mov 12(%ebp), %esi
	mov 16(%ebp), %edi
	mov 20(%ebp), %ebp
	call *20(%esp)
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

	.globl upcall_entry
upcall_entry:
	pusha
	cld
	call on_upcall
	popa
	iret

	.data
	.globl boot_info, boot_kind
	.align 8
boot_info:	.quad 0
boot_kind:	.long 0
	.align 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt

	.bss
	.align 4096
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
