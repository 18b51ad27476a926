// SPDX-License-Identifier: Apache-2.0
/*
 * Ends badly. Command line: how=triple (no IDT) | garbage (undefined instruction, no IDT) | mmio
 * (jumps to where no memory is) | hlt (sleeps for good, interrupts off) | spin | pvpanic | panic
 * (exception report of this library) | stack.
 */
#include "guest.h"

#define PORT_PVPANIC 0x505
#define PVPANIC_PANICKED 1
#define NOWHERE 0xd0000000

static void no_idt(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	asm volatile("lidt %0" ::"m"(none));
}

static void by_pvpanic(void)
{
	u8 offers = inb(PORT_PVPANIC);

	printf("# pvpanic offers %x\n", offers);
	if (offers == 0xff || !(offers & PVPANIC_PANICKED))
		panic("no pvpanic device");
	outb(PORT_PVPANIC, PVPANIC_PANICKED);
}

int guest_main(void)
{
	char how[16] = "";

	arg_str("how", how, sizeof(how));
	printf("# about to crash by %s\n", how);
	if (arg_lists("how", "triple")) {
		no_idt();
		asm volatile("int3");
	} else if (arg_lists("how", "garbage")) {
		no_idt();
		asm volatile(".byte 0x0f, 0xff, 0xff, 0xff, 0xff");
	} else if (arg_lists("how", "mmio")) {
		no_idt();
		((void (*)(void))NOWHERE)();
	} else if (arg_lists("how", "stack")) {
		no_idt();
		asm volatile("mov %0, %%rsp; push %%rax" ::"r"(0x8000000000000000));
	} else if (arg_lists("how", "panic")) {
		asm volatile("ud2");
	} else if (arg_lists("how", "hlt")) {
		hang();
	} else if (arg_lists("how", "spin")) {
		for (;;)
			pause();
	} else if (arg_lists("how", "pvpanic")) {
		by_pvpanic();
		hang();
	}
	panic("survived a crash by \"%s\"", how);
}
