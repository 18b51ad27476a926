// SPDX-License-Identifier: Apache-2.0
#include "apic.h"
#include "boot.h"
#include "cpu.h"
#include "exit.h"
#include "print.h"
#include "smp.h"
#include "trap.h"

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, zero;
};

extern char trap_stubs[], extable_start[], extable_end[];

static struct gate idt[256] __attribute__((aligned(16)));
static trap_fn handlers[256];

// clang-format off
static const char *const names[] = {
	"divide error", "debug", "NMI", "breakpoint", "overflow", "bound range",
	"invalid opcode", "device not available", "double fault", "coprocessor overrun",
	"invalid TSS", "segment not present", "stack fault", "general protection", "page fault",
	"reserved", "x87 error", "alignment check", "machine check", "SIMD error",
	"virtualization", "control protection",
};
// clang-format on

void trap_load(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)idt };

	asm volatile("lidt %0" ::"m"(pointer) : "memory");
}

void trap_init(void)
{
	u64 stub = (u64)trap_stubs;
	int i;

	// The image lies below 4 GiB: offset_high stays zero.
	for (i = 0; i < 256; i++, stub += 16)
		idt[i] = (struct gate){ (u16)stub, CODE64, 0, 0x8e, (u16)(stub >> 16), 0, 0 };
	trap_load();
}

void trap_user_gate(unsigned int vector)
{
	idt[vector].type |= 3 << 5;
}

void trap_set(unsigned int vector, trap_fn fn)
{
	WRITE_ONCE(handlers[vector], fn);
}

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("Bail out! ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	guest_exit(EXIT_PANIC);
}

static void panic_exception(const struct frame *f)
{
	printf("# rax %p rbx %p rcx %p rdx %p\n# rsi %p rdi %p rbp %p rsp %p\n", PTR(f->rax),
	       PTR(f->rbx), PTR(f->rcx), PTR(f->rdx), PTR(f->rsi), PTR(f->rdi), PTR(f->rbp),
	       PTR(f->rsp));
	printf("# r8  %p r9  %p r10 %p r11 %p\n# r12 %p r13 %p r14 %p r15 %p\n", PTR(f->r8),
	       PTR(f->r9), PTR(f->r10), PTR(f->r11), PTR(f->r12), PTR(f->r13), PTR(f->r14),
	       PTR(f->r15));
	printf("# cr0 %lx cr2 %lx cr3 %lx cr4 %lx\n", READ_CR(0), READ_CR(2), READ_CR(3),
	       READ_CR(4));
	panic("exception %lu (%s) on CPU %u, error code 0x%lx, at 0x%lx:0x%lx, flags 0x%lx",
	      f->vector, f->vector < ARRAY_SIZE(names) ? names[f->vector] : "reserved",
	      this_cpu()->index, f->error, f->cs, f->rip, f->rflags);
}

static bool fixup(struct frame *f)
{
	const u64 *entry = (const u64 *)extable_start;

	for (; entry < (const u64 *)extable_end; entry += 2) {
		if (entry[0] != f->rip)
			continue;
		this_cpu()->fault_vector = (u32)f->vector;
		this_cpu()->fault_error = f->error;
		f->rip = entry[1];
		return true;
	}
	return false;
}

void trap_handle(struct frame *f);
void trap_handle(struct frame *f)
{
	trap_fn fn = READ_ONCE(handlers[f->vector]);

	if (f->vector < 32 && fixup(f))
		return;
	if (fn)
		fn(f);
	else if (f->vector < 32)
		panic_exception(f);
	else
		this_cpu()->spurious++;
}

void fault_clear(void)
{
	this_cpu()->fault_vector = NO_FAULT;
}

u32 fault_taken(void)
{
	return READ_ONCE(this_cpu()->fault_vector);
}

u64 fault_error(void)
{
	return READ_ONCE(this_cpu()->fault_error);
}

u32 rdmsr_try(u32 msr, u64 *ret)
{
	u32 lo = 0, hi = 0;

	fault_clear();
	asm volatile(FAULTABLE("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	*ret = (u64)hi << 32 | lo;
	return fault_taken();
}

u32 wrmsr_try(u32 msr, u64 v)
{
	fault_clear();
	asm volatile(FAULTABLE("wrmsr")::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return fault_taken();
}
