/* SPDX-License-Identifier: Apache-2.0 */
/* Flat binary, entered at 0000:7c00: a line on COM1, KTAP on the debug port, exit code. */
#include "probe.inc"

	.code16
	.globl _start
_start:
	flat_segments

	mov $serial_text, %si
	mov $0x3f8, %dx
	call print

	mov $ktap_text, %si
	mov $0xe9, %dx
	call print

	/* segments shift by 4: the first byte of this image is there under another name too */
	mov $0x7c0, %ax
	mov %ax, %es
	mov %es:0, %al
	cmp _start, %al
	mov $segment_ok, %si
	je 1f
	mov $segment_bad, %si
	movb $1, verdict
1:	call print

	/* software interrupt through the vector table at 0 */
	movw $handler, 0x21 * 4
	movw $0, 0x21 * 4 + 2
	int $0x21
	mov $interrupt_ok, %si
	cmpb $0x5a, handled
	je 2f
	mov $interrupt_bad, %si
	movb $1, verdict
2:	call print

	mov verdict, %al
	out %al, $0xf4
3:	cli
	hlt
	jmp 3b

handler:
	movb $0x5a, handled
	iret

/* text at ds:si to port dx */
print:
	lodsb
	test %al, %al
	jz 1f
	out %al, %dx
	jmp print
1:	ret

verdict:	.byte 0
handled:	.byte 0
serial_text:	.asciz "hello from real mode\r\n"
ktap_text:	.asciz "KTAP version 1\n1..2\n"
segment_ok:	.asciz "ok 1 segments\n"
segment_bad:	.asciz "not ok 1 segments\n"
interrupt_ok:	.asciz "ok 2 software-interrupt\n"
interrupt_bad:	.asciz "not ok 2 software-interrupt\n"

	.section .note.GNU-stack, "", @progbits
