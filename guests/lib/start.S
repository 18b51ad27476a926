/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three doors, one room: multiboot and PVH enter in flat 32-bit protected mode with EBX pointing at
 * their info block, the 64-bit Linux boot protocol enters in long mode with RSI pointing at
 * boot_params. All end in guest_entry() in long mode, on our own GDT, identity page tables of the
 * first 4 GiB and CPU 0's stack, interrupts off.
 */
#include "boot.h"

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 8, 18			/* name size, desc size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad start_pvh

	.section .head, "ax"
	.code32
	.globl start_multiboot, start_pvh, start_linux64
start_multiboot:
	mov $BOOT_MULTIBOOT, %ecx
	cmp $MULTIBOOT_BOOTLOADER_MAGIC, %eax
	je enter32
	mov $BOOT_RAW, %ecx
	jmp enter32
start_pvh:
	mov $BOOT_PVH, %ecx
enter32:
	cli
	cld
	mov %eax, boot_magic
	mov %ebx, boot_info
	mov %ecx, boot_kind
	lgdt gdt_pointer
	mov %cr4, %eax
	or $(1 << 5), %eax		/* PAE */
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx		/* EFER */
	rdmsr
	or $(1 << 8), %eax		/* LME */
	wrmsr
	mov %cr0, %eax
	or $(1 << 31 | 1 << 0), %eax	/* PG, PE */
	mov %eax, %cr0
	ljmp $CODE64, $enter64

	.code64
start_linux64:
	cli
	cld
	mov %rsi, boot_info
	movl $BOOT_LINUX64, boot_kind
	lgdt gdt_pointer
	mov $pml4, %eax
	mov %rax, %cr3
	mov $stacks + STACK_SIZE, %esp
	pushq $CODE64
	pushq $enter64
	lretq
enter64:
	mov $DATA64, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $stacks + STACK_SIZE, %esp
	call guest_entry
1:	cli
	hlt
	jmp 1b

	.data
	.globl boot_kind, boot_magic, boot_info, gdt, gdt_pointer, pml4, pdpt
boot_kind:	.long 0
boot_magic:	.long 0
boot_info:	.quad 0

	.align 16
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* CODE64 */
	.quad 0x00cf93000000ffff	/* DATA64 */
	.quad 0x00cf9b000000ffff	/* CODE32 */
	.quad 0x00cff3000000ffff	/* USER_DATA */
	.quad 0x00affb000000ffff	/* USER_CODE */
	.quad 0, 0			/* TSS_SEL, filled in by those who use it */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

/* Identity map of 4 GiB in 2 MiB pages, spelt out so that no code has to run for it. 3: P, W. */
	.align 4096
pml4:
	.quad pdpt + 3
	.fill 511, 8, 0
pdpt:
	.set i, 0
	.rept 4
	.quad pds + i * 4096 + 3
	.set i, i + 1
	.endr
	.fill 508, 8, 0
pds:
	.set i, 0
	.rept 4 * 512
	.quad (i << 21) | 0x83		/* + page size */
	.set i, i + 1
	.endr

	.bss
	.align STACK_SIZE
	.globl stacks
stacks:
	.skip MAX_CPUS * STACK_SIZE

	.section .note.GNU-stack, "", @progbits
