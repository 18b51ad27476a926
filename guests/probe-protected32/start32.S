/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can this KVM run 32-bit protected-mode code, and return from its interrupt handlers? Stands
 * alone: entered by multiboot or PVH, never leaves 32-bit mode. Needs an irqchip with PIT. The lines
 * printed so far tell how far it came.
 */
#include "probe.inc"

#define CODE 0x08
#define DATA 0x10

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18
	.asciz "Xen"
	.long start_multiboot

	.section .head, "ax"
	.code32
	.globl start_multiboot
start_multiboot:
	cli
	cld
	mov $stack_top, %esp
	mov $plan, %esi
	call print
	mov $code_name, %esi
	call ok

	lgdt gdt_pointer
	ljmp $CODE, $1f
1:	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $segments_name, %esi
	call ok

	mov $0x03, %ecx
	mov $handler, %eax
	call set_gate
	mov $0x06, %ecx
	mov $skip_two, %eax
	call set_gate
	mov $0x20, %ecx
	mov $irq_handler, %eax
	call set_gate
	lidt idt_pointer

	movb $0, handled
	ud2
	mov $opcode_name, %esi
	call verdict_of_handler

	pic_and_pit
	movb $0, handled
	sti
	mov $0x100000, %ecx
1:	in $0x80, %al
	cmpb $0, handled
	loope 1b
	cli
	mov $irq_name, %esi
	call verdict_of_handler

	movb $0, handled
	sti
	hlt
	cli
	mov $hlt_name, %esi
	call verdict_of_handler
	mov $0xff, %al
	out %al, $0x21

	movb $0, handled
	int3
	mov $breakpoint_name, %esi
	call verdict_of_handler

	/* 32-bit paging with 4 MiB pages, identity */
	mov $page_directory, %edi
	mov $0x83, %eax
	mov $1024, %ecx
1:	stosl
	add $0x400000, %eax
	loop 1b
	mov %cr4, %eax
	or $0x10, %eax
	mov %eax, %cr4
	mov $page_directory, %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	mov $paging_name, %esi
	call ok

	movb $0, handled
	int3
	mov $paged_breakpoint_name, %esi
	call verdict_of_handler

	mov failed, %al
	out %al, $0xf4
3:	cli
	hlt
	jmp 3b

/* ecx: vector, eax: handler */
set_gate:
	lea idt(, %ecx, 8), %edx
	mov %ax, (%edx)
	movw $CODE, 2(%edx)
	movw $0x8e00, 4(%edx)
	shr $16, %eax
	mov %ax, 6(%edx)
	ret

handler:
	movb $1, handled
	iret

skip_two:
	movb $1, handled
	addl $2, (%esp)
	iret

irq_handler:
	push %eax
	movb $1, handled
	mov $0x20, %al
	out %al, $0x20
	pop %eax
	iret

	verdicts %esi

	.section .rodata
plan:		.asciz "KTAP version 1\n1..8\n"
not_text:	.asciz "not "
ok_text:	.asciz "ok "
code_name:	.asciz "1 code\n"
segments_name:	.asciz "2 segments\n"
breakpoint_name:	.asciz "6 breakpoint\n"
opcode_name:	.asciz "3 invalid-opcode\n"
irq_name:	.asciz "4 hardware-interrupt\n"
hlt_name:	.asciz "5 halt-wakes\n"
paging_name:	.asciz "7 paging\n"
paged_breakpoint_name:	.asciz "8 breakpoint-with-paging\n"

	.data
	.align 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
idt_pointer:
	.word 64 * 8 - 1
	.long idt
handled:	.byte 0
failed:		.byte 0

	.bss
	.align 4096
page_directory:	.skip 4096
idt:		.skip 64 * 8
	.skip 4096
stack_top:

	.section .note.GNU-stack, "", @progbits
