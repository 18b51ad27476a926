// SPDX-License-Identifier: Apache-2.0
#include "boot.h"
#include "cpu.h"
#include "trap.h"
#include "user.h"

#define PTE_USER 4

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 ist[8];
	u32 reserved[3];
	u16 io_map;
} __attribute__((packed));

extern u64 gdt[], pml4[], pdpt[], user_saved_rsp;
extern char user_return[];
u64 user_enter(u64 entry, u64 stack, u64 rsp0);

static struct tss tss = { .io_map = sizeof(struct tss) };
static u8 user_stack[4096] __attribute__((aligned(4096)));

static void on_exit(struct frame *f)
{
	if (!(f->cs & 3))
		panic("invalid opcode at 0x%lx while ring 3 was visited", f->rip);
	f->rip = (u64)user_return;
	f->cs = CODE64;
	f->ss = DATA64;
	f->rsp = user_saved_rsp;
	f->rflags = 2;
}

void user_init(void)
{
	u64 base = (u64)&tss, *pd = PTR(pdpt[0] & ~0xfffull);

	gdt[TSS_SEL / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
			   (base >> 24 & 0xff) << 56;
	gdt[TSS_SEL / 8 + 1] = base >> 32;
	asm volatile("ltr %w0" ::"r"(TSS_SEL));
	pml4[0] |= PTE_USER;
	pdpt[0] |= PTE_USER;
	pd[0] |= PTE_USER;
	pd[1] |= PTE_USER;
	WRITE_CR(3, READ_CR(3));
}

u64 user_run(void (*entry)(void))
{
	u64 rax;

	trap_set(VEC_UD, on_exit);
	rax = user_enter((u64)entry, (u64)user_stack + sizeof(user_stack),
			 (u64)&tss + offsetof(struct tss, rsp));
	trap_set(VEC_UD, NULL);
	return rax;
}
