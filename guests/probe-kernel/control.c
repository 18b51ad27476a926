// SPDX-License-Identifier: Apache-2.0
// Ways into and out of code: returns, interrupts, ring 3, system calls.
// clang-format off
#include "steps.h"

static u32 syscalls asm("syscalls") __attribute__((used));
static u32 gate_calls;

void user_number(void);
void user_syscall(void);
void user_int(void);
void user_leave(void);
void syscall_entry(void);

/* Ring 3: each leaves its number in RAX. */
asm(".text\n"
    ".globl user_number, user_syscall, user_int, user_leave, syscall_entry\n"
    "user_number: mov $0x5a, %eax\n" USER_EXIT "\n"
    "user_syscall: syscall; mov $0x5b, %eax\n" USER_EXIT "\n"
    "user_int: int $0x82; mov $0x5c, %eax\n" USER_EXIT "\n"
    "user_leave: " USER_EXIT "\n"
    "syscall_entry: incl syscalls; sysretq\n");

static void count_gate(struct frame *f)
{
	(void)f;
	gate_calls++;
}

/* A fault where ring 3 or its system call should have gone on: give up the visit. */
static void leave_user(struct frame *f)
{
	printf("# general protection fault at 0x%lx:0x%lx\n", f->cs, f->rip);
	f->cs = USER_CODE;
	f->ss = USER_DATA;
	f->rip = (u64)user_leave;
}

void step_far_return(void)
{
	asm volatile("push %0; push $1f; lretq; 1:" :: "r"((u64)CODE64) : "memory");
}

void step_task_register(void)
{
	user_init();
}

void step_interrupt_return(void)
{
	asm volatile("mov %%rsp, %%rax; push %0; push %%rax; push $2; push %1; push $1f; iretq; 1:"
		     :: "r"((u64)DATA64), "r"((u64)CODE64) : "rax", "memory");
}

void step_user_mode(void)
{
	check_equal(user_run(user_number), 0x5a);
}

void step_user_interrupts(void)
{
	u32 i;

	irq_begin();
	irq_count_on(0x71);
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, 0x71);
	for (i = 0; i < 3; i++) {
		apic_write(APIC_TIMER_INITIAL, 1000);
		user_run(user_number);
	}
	check(irq_wait(0x71, 1, 2000) >= 1);
}

void step_system_call(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_STAR, (u64)CODE64 << 32 | (u64)(CODE32 | 3) << 48);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SFMASK, 0x47700);
	trap_set(VEC_GP, leave_user);
	check_equal(user_run(user_syscall), 0x5b);
	trap_set(VEC_GP, NULL);
	check_equal(syscalls, 1);
}

void step_user_gate(void)
{
	trap_user_gate(0x82);
	trap_set(0x82, count_gate);
	trap_set(VEC_GP, leave_user);
	check_equal(user_run(user_int), 0x5c);
	trap_set(VEC_GP, NULL);
	check_equal(gate_calls, 1);
}

void step_breakpoint(void)
{
	trap_set(VEC_BP, count_gate);
	gate_calls = 0;
	asm volatile("int3");
	check_equal(gate_calls, 1);
}

void step_self_modifying(void)
{
	// mov $1, %eax; ret
	static u8 code[] __attribute__((section(".data"), aligned(16))) = {
		0xb8, 1, 0, 0, 0, 0xc3,
	};
	u32 (*fn)(void) = (u32 (*)(void))code;

	check_equal(fn(), 1);
	WRITE_ONCE(code[1], 2);
	cpuid(0, 0);
	check_equal(fn(), 2);
}
