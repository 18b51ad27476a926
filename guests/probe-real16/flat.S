/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can this KVM run real-mode code and its interrupt handlers? Needs an irqchip with PIT. A step
 * that cannot be done may hang or end the machine: the lines so far tell how far it came.
 */
#include "probe.inc"

	.code16
	.globl _start
_start:
	flat_segments
	mov $plan, %si
	call print
	mov $code_name, %si
	call ok

	/* INT through the vector table at 0 */
	movw $handler, 0x21 * 4
	movw $0, 0x21 * 4 + 2
	movb $0, handled
	int $0x21
	mov $int_name, %si
	call verdict_of_handler

	movw $irq_handler, 0x20 * 4
	movw $0, 0x20 * 4 + 2
	pic_and_pit
	movb $0, handled
	sti
	mov $0xffff, %cx
1:	in $0x80, %al			/* something slow, so that a tick passes */
	cmpb $0, handled
	loope 1b
	cli
	mov $irq_name, %si
	call verdict_of_handler

	movb $0, handled
	sti
	hlt
	cli
	mov $hlt_name, %si
	call verdict_of_handler
	mov $0xff, %al
	out %al, $0x21

	mov failed, %al
	out %al, $0xf4
3:	cli
	hlt
	jmp 3b

handler:
	movb $1, handled
	iret

irq_handler:
	push %ax
	movb $1, handled
	mov $0x20, %al
	out %al, $0x20
	pop %ax
	iret

	verdicts %si

handled:	.byte 0
failed:		.byte 0
plan:		.asciz "KTAP version 1\n1..4\n"
not_text:	.asciz "not "
ok_text:	.asciz "ok "
code_name:	.asciz "1 code\n"
int_name:	.asciz "2 software-interrupt\n"
irq_name:	.asciz "3 hardware-interrupt\n"
hlt_name:	.asciz "4 halt-wakes\n"

	.section .note.GNU-stack, "", @progbits
