/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can this KVM run real-mode code and its interrupt handlers? Needs an irqchip with PIT. A step
 * that cannot be done may hang or end the machine: the lines so far tell how far it came.
 */
	.code16
	.globl _start
_start:
	cli
	cld
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x7c00, %sp
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

	/* IRQ 0 of the 8259 at vector 0x20, from the 8254 */
	movw $irq_handler, 0x20 * 4
	movw $0, 0x20 * 4 + 2
	mov $0x11, %al
	out %al, $0x20
	mov $0x20, %al
	out %al, $0x21
	mov $0x04, %al
	out %al, $0x21
	mov $0x01, %al
	out %al, $0x21
	mov $0xfe, %al
	out %al, $0x21
	mov $0x34, %al			/* channel 0, rate generator */
	out %al, $0x43
	mov $0xa9, %al			/* 0x2ea9: 100 Hz */
	out %al, $0x40
	mov $0x2e, %al
	out %al, $0x40
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

verdict_of_handler:
	cmpb $0, handled
	jne ok
	movb $1, failed
	push %si
	mov $not_text, %si
	call print
	pop %si
ok:	push %si
	mov $ok_text, %si
	call print
	pop %si
print:
	lodsb
	test %al, %al
	jz 1f
	out %al, $0xe9
	jmp print
1:	ret

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
