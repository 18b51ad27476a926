/* SPDX-License-Identifier: Apache-2.0 */
/* Ends at once: what is left is the cost of making and tearing down a machine. */
	.text
	.globl guest_entry
guest_entry:
	xor %eax, %eax
	out %al, $0xf4
1:	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
