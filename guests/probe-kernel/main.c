// SPDX-License-Identifier: Apache-2.0
/*
 * Can this KVM run what a stock kernel executes in ring 0? One step an instruction or state; a fault makes a step fail, an
 * instruction KVM cannot emulate ends the machine at it ("trace" names each step first, "skip=a,b" goes round those).
 * Steps CPUID does not offer count as done: a kernel would not take them.
 */
#include "guest.h"
#include "steps.h"

extern u64 pml4[];
static u8 area[4096] __attribute__((aligned(64)));
static u64 words[8] __attribute__((aligned(16)));

#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_FSGSBASE (1 << 16)
#define CR4_PCIDE (1 << 17)
#define CR4_OSXSAVE (1 << 18)
#define CR4_SMAP (1 << 21)
#define CR4_PGE (1 << 7)

static bool leaf1_ecx(int bit) { return cpuid(1, 0).ecx & (1u << bit); }
static bool leaf7_ebx(int bit) { return cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & (1u << bit)); }
static void cr4_set(u64 bits) { WRITE_CR(4, READ_CR(4) | bits); }
static void cr4_clear(u64 bits) { WRITE_CR(4, READ_CR(4) & ~bits); }

/* Runs an instruction that may fault and fails the step if it does. */
#define STEP(insn, ...) do { \
	fault_clear(); \
	asm volatile(FAULTABLE(insn) __VA_ARGS__); \
	check_equal(fault_taken(), NO_FAULT); \
	} while (0)

static void flags(void)
{
	u64 v;

	asm volatile("pushfq; orq $0x240000, (%%rsp); popfq; pushfq; pop %0" : "=r"(v) :: "memory");
	check_equal(v & 0x240000, 0x240000);	// AC and ID
	asm volatile("push $2; popfq" ::: "memory");
}

static void control_registers(void)
{
	WRITE_CR(0, READ_CR(0) | 1 << 16 | 1 << 5);	// WP, NE
	check_equal(READ_CR(0) & (1 << 16 | 1 << 5), 1 << 16 | 1 << 5);
	WRITE_CR(2, 0x1234);
	check_equal(READ_CR(2), 0x1234);
	WRITE_CR(3, READ_CR(3));
	WRITE_CR(8, 3);
	check_equal(READ_CR(8), 3);
	WRITE_CR(8, 0);
	cr4_set(CR4_PGE);
	check(READ_CR(4) & CR4_PGE);
}

static void debug_registers(void)
{
	u64 v;

	STEP("mov %0, %%dr7", :: "r"(0x400ull));
	STEP("mov %0, %%dr0", :: "r"(0x1234ull));
	STEP("mov %%dr0, %0", : "=r"(v));
	check_equal(v, 0x1234);
	STEP("mov %%dr6, %0", : "=r"(v));
}

static void task_switched_flag(void)
{
	WRITE_CR(0, READ_CR(0) | 8);
	STEP("clts", ::: "memory");
	check(!(READ_CR(0) & 8));
}

static void descriptor_tables(void)
{
	u8 pointer[10];
	u16 selector = 1;

	STEP("sgdt (%0)", :: "r"(pointer) : "memory");
	STEP("lgdt (%0)", :: "r"(pointer) : "memory");
	STEP("sidt (%0)", :: "r"(pointer) : "memory");
	STEP("lidt (%0)", :: "r"(pointer) : "memory");
	STEP("lldt %w0", :: "r"(0));
	STEP("str %0", : "=r"(selector));
	check_equal(selector, 0);
	STEP("sldt %0", : "=r"(selector));
}

static void segments(void)
{
	u64 limit = 0;

	STEP("mov %0, %%fs; mov %1, %%fs", :: "r"(DATA64), "r"(0));
	STEP("mov %0, %%gs; mov %1, %%gs", :: "r"(DATA64), "r"(0));
	STEP("mov %0, %%ss", :: "r"(DATA64));
	STEP("lsl %1, %0", : "=r"(limit) : "r"((u64)USER_DATA));
	STEP("lar %1, %0", : "=r"(limit) : "r"((u64)USER_DATA));
	STEP("verw %w0", :: "r"(DATA64));
}

static void far_return(void)
{
	asm volatile("push %0; push $1f; lretq; 1:" :: "r"((u64)CODE64) : "memory");
}

static void task_register(void)
{
	user_init();
}

static void interrupt_return(void)
{
	asm volatile("mov %%rsp, %%rax; push %0; push %%rax; push $2; push %1; push $1f; iretq; 1:"
		     :: "r"((u64)DATA64), "r"((u64)CODE64) : "rax", "memory");
}

static void user_mode(void)
{
	check_equal(user_run(user_number), 0x5a);
}

static void user_interrupts(void)
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

/* A fault where ring 3 or its system call should have gone on: give up the visit. */
static void leave_user(struct frame *f)
{
	printf("# general protection fault at 0x%lx:0x%lx\n", f->cs, f->rip);
	f->cs = USER_CODE;
	f->ss = USER_DATA;
	f->rip = (u64)user_leave;
}

static void system_call(void)
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

static void user_gate(void)
{
	trap_user_gate(0x82);
	trap_set(0x82, count_gate);
	trap_set(VEC_GP, leave_user);
	check_equal(user_run(user_int), 0x5c);
	trap_set(VEC_GP, NULL);
	check_equal(gate_calls, 1);
}

static void swapgs(void)
{
	wrmsr(MSR_KERNEL_GS_BASE, 0x7000);
	STEP("swapgs", ::: "memory");
	check_equal(rdmsr(MSR_GS_BASE), 0x7000);
	wrmsr(MSR_GS_BASE, 0);
}

static void fsgsbase(void)
{
	u64 v = 0;

	if (!leaf7_ebx(0))
		return;
	cr4_set(CR4_FSGSBASE);
	STEP("wrgsbase %0", :: "r"(0x5000ull));
	STEP("rdgsbase %0", : "=r"(v));
	check_equal(v, 0x5000);
	STEP("wrfsbase %0", :: "r"(0ull));
}

/* Reset values and those Linux writes early. */
static void msrs(void)
{
	static const u32 list[] = { 0x10, 0x1b, 0x174, 0x175, 0x176, 0x277, 0x2ff, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
				    0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102 };
	u32 i, failed;
	u64 v;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		failed = rdmsr_try(list[i], &v);
		if (failed != NO_FAULT)
			printf("# MSR %x cannot be read\n", list[i]);
		check_equal(failed, NO_FAULT);
		if (list[i] != 0x10 && list[i] != 0x1b)
			check_equal(wrmsr_try(list[i], v), NO_FAULT);
	}
}

/* The checks hardware makes, and a TSC that can be set. */
static void exact_msrs(void)
{
	u64 now = rdtsc();

	check_equal(wrmsr_try(MSR_PAT, 0x0202020202020202), VEC_GP);	// no such memory type
	wrmsr(MSR_TSC, now + (1ull << 40));
	check(rdtsc() >= now + (1ull << 40));
	wrmsr(MSR_TSC, now);
}

static void speculation_msrs(void)
{
	u64 v;

	if (cpuid(0, 0).eax < 7 || !(cpuid(7, 0).edx & (1 << 26)))
		return;
	check_equal(rdmsr_try(0x48, &v), NO_FAULT);	// SPEC_CTRL
	check_equal(wrmsr_try(0x49, 1), NO_FAULT);	// PRED_CMD: IBPB
}

static void invalidate(void)
{
	struct {
		u64 pcid, address;
	} d = { 0, 0 };

	STEP("invlpg (%0)", :: "r"(area) : "memory");
	if (leaf7_ebx(10))
		STEP("invpcid (%0), %1", :: "r"(&d), "r"(2ull) : "memory");
}

static void pcid(void)
{
	if (!leaf1_ecx(17))
		return;
	cr4_set(CR4_PCIDE);
	WRITE_CR(3, READ_CR(3) | 1);
	WRITE_CR(3, (READ_CR(3) & ~0xfffull) | 1ull << 63);
	cr4_clear(CR4_PCIDE);
}

/* With the user bit off the whole map: we stand on pages that ring 3 was given. */
static void smap(void)
{
	if (!leaf7_ebx(20))
		return;
	pml4[0] &= ~4ull;
	WRITE_CR(3, READ_CR(3));
	cr4_set(CR4_SMAP);
	STEP("stac; clac", ::: "memory");
	cr4_clear(CR4_SMAP);
	pml4[0] |= 4;
	WRITE_CR(3, READ_CR(3));
}

static void caches(void)
{
	STEP("wbinvd", ::: "memory");
	STEP("clflush (%0)", :: "r"(area) : "memory");
	if (leaf7_ebx(23))
		STEP("clflushopt (%0)", :: "r"(area) : "memory");
	if (leaf7_ebx(24))
		STEP("clwb (%0)", :: "r"(area) : "memory");
	STEP("prefetcht0 (%0)", :: "r"(area) : "memory");
}

static void fences(void)
{
	STEP("mfence; lfence; sfence; pause; nopw 0(%%rax, %%rax, 1); endbr64", ::: "memory");
}

static void timestamps(void)
{
	u64 a = 0;

	STEP("rdtsc", : "=a"(a) :: "rdx");
	if (cpuid(0x80000001, 0).edx & (1 << 27))
		STEP("rdtscp", : "=a"(a) :: "rcx", "rdx");
}

static void random(void)
{
	u64 v;

	if (leaf1_ecx(30))
		STEP("rdrand %0", : "=r"(v));
	if (leaf7_ebx(18))
		STEP("rdseed %0", : "=r"(v));
}

static void atomics(void)
{
	u64 a = 1, old = 5;

	words[0] = 5;
	asm volatile("lock xadd %0, %1" : "+r"(a), "+m"(words[0]));
	check(a == 5 && words[0] == 6);
	asm volatile("lock cmpxchg %2, %1" : "+a"(old), "+m"(words[0]) : "r"(9ull));
	check(old == 6 && words[0] == 6);
	asm volatile("lock btsq $0, %0; lock btrq $1, %0; lock btcq $2, %0; lock incq %0; lock negq %0" : "+m"(words[0]));
	asm volatile("xchg %0, %1" : "+r"(a), "+m"(words[0]));
	asm volatile("lock cmpxchg8b %0" : "+m"(words[1]) :: "rax", "rdx", "rbx", "rcx");
}

static void cmpxchg16b(void)
{
	u64 low = words[2], high = words[3];

	if (!leaf1_ecx(13))
		return;
	STEP("lock cmpxchg16b %2", : "+a"(low), "+d"(high) : "m"(words[2]), "b"(7ull), "c"(8ull) : "memory");
	check(words[2] == 7 && words[3] == 8);
}

static void strings(void)
{
	memset(area, 0x11, 256);
	memcpy(area + 256, area, 256);
	asm volatile("mov $256, %%ecx; mov %0, %%rsi; lea 256(%%rsi), %%rdi; repe cmpsb; setz %1"
		     :: "r"(area), "m"(words[4]) : "rcx", "rsi", "rdi", "memory");
	check_equal(words[4] & 1, 1);
	asm volatile("mov $256, %%ecx; mov %0, %%rdi; mov $0x22, %%al; repne scasb" :: "r"(area) : "rcx", "rdi", "rax");
	asm volatile("mov $32, %%ecx; mov %0, %%rdi; rep stosq; mov $32, %%ecx; mov %0, %%rsi; rep lodsq; std; cld"
		     :: "r"(area) : "rcx", "rdi", "rsi", "rax", "memory");
}

static void integers(void)
{
	u64 a = 0x123456789abcdef0, d = 0;

	asm volatile("mul %2; div %2; imul $3, %0; bswap %0; bsf %0, %1; bsr %0, %1; shld $3, %0, %1; shrd $3, %0, %1"
		     : "+a"(a), "+d"(d) : "r"(77ull));
	asm volatile("cqo; cdqe; xlatb; sahf; lahf" : "+a"(a), "+d"(d) : "b"(area));
	asm volatile("enter $16, $0; leave" ::: "memory");
	asm volatile("cmc; stc; clc; adc $1, %0; sbb $1, %0; rcl $1, %0; rcr $1, %0; setc %b0; cmovz %1, %0" : "+r"(a) : "r"(d));
}

static void bit_counting(void)
{
	u64 v = 0x00ff;

	if (leaf1_ecx(23)) {
		STEP("popcnt %0, %0", : "+r"(v));
		check_equal(v, 8);
	}
	if (leaf1_ecx(22))
		STEP("movbe %0, %1", :: "r"(v), "m"(words[5]) : "memory");
	if (leaf1_ecx(20))
		STEP("crc32q %0, %0", : "+r"(v));
}

static void breakpoint(void)
{
	trap_set(VEC_BP, count_gate);
	gate_calls = 0;
	asm volatile("int3");
	check_equal(gate_calls, 1);
}

static void self_modifying(void)
{
	static u8 code[] __attribute__((section(".data"), aligned(16))) = { 0xb8, 1, 0, 0, 0, 0xc3 };	// mov $1, %eax; ret
	u32 (*fn)(void) = (u32 (*)(void))code;

	check_equal(fn(), 1);
	WRITE_ONCE(code[1], 2);
	cpuid(0, 0);
	check_equal(fn(), 2);
}

static void x87(void)
{
	WRITE_CR(0, (READ_CR(0) | 2) & ~4ull);		// MP, no EM
	STEP("fninit", ::: "memory");
	STEP("fnstcw (%0)", :: "r"(area) : "memory");
	STEP("fnstsw %%ax", ::: "rax");
	STEP("fwait", ::: "memory");
}

static void sse(void)
{
	WRITE_CR(0, (READ_CR(0) | 2) & ~4ull);
	cr4_set(CR4_OSFXSR | CR4_OSXMMEXCPT);
	STEP("movups (%0), %%xmm0", :: "r"(area));
	STEP("movaps %%xmm0, (%0)", :: "r"(area) : "memory");
	STEP("movntdq %%xmm0, (%0)", :: "r"(area) : "memory");
	STEP("pxor %%xmm1, %%xmm1", ::: "memory");
	STEP("paddd %%xmm0, %%xmm1", ::: "memory");
	STEP("ldmxcsr (%0)", :: "r"(&default_mxcsr));
}

static void fxsave(void)
{
	cr4_set(CR4_OSFXSR);
	STEP("fxsave64 (%0)", :: "r"(area) : "memory");
	STEP("fxrstor64 (%0)", :: "r"(area) : "memory");
}

static void xsave(void)
{
	u32 low = 0, high = 0;

	if (!leaf1_ecx(26))
		return;
	cr4_set(CR4_OSXSAVE);
	STEP("xgetbv", : "=a"(low), "=d"(high) : "c"(0));
	STEP("xsetbv", :: "a"(3), "d"(0), "c"(0) : "memory");
	memset(area, 0, sizeof(area));
	STEP("xsave64 (%0)", :: "r"(area), "a"(3), "d"(0) : "memory");
	STEP("xrstor64 (%0)", :: "r"(area), "a"(3), "d"(0) : "memory");
}

static void avx(void)
{
	u32 low = cpuid(0xd, 0).eax;

	if (!leaf1_ecx(26) || !leaf1_ecx(28) || !(low & 4))
		return;
	cr4_set(CR4_OSXSAVE);
	STEP("xsetbv", :: "a"(7), "d"(0), "c"(0) : "memory");
	STEP("vmovups (%0), %%ymm0", :: "r"(area));
	STEP("vzeroupper", ::: "memory");
}

static void monitor(void)
{
	if (!leaf1_ecx(3))
		return;
	STEP("monitor", :: "a"(area), "c"(0), "d"(0));
}

TESTS(
	{ "flags", flags },
	{ "control-registers", control_registers },
	{ "descriptor-tables", descriptor_tables },
	{ "segments", segments },
	{ "far-return", far_return },
	{ "interrupt-return", interrupt_return },
	{ "task-register", task_register },
	{ "user-mode", user_mode },
	{ "user-interrupts", user_interrupts },
	{ "system-call", system_call },
	{ "user-gate", user_gate },
	{ "swapgs", swapgs },
	{ "fsgsbase", fsgsbase },
	{ "msrs", msrs },
	{ "exact-msrs", exact_msrs },
	{ "speculation-msrs", speculation_msrs },
	{ "invalidate", invalidate },
	{ "pcid", pcid },
	{ "smap", smap },
	{ "caches", caches },
	{ "fences", fences },
	{ "timestamps", timestamps },
	{ "random", random },
	{ "atomics", atomics },
	{ "cmpxchg16b", cmpxchg16b },
	{ "strings", strings },
	{ "integers", integers },
	{ "bit-counting", bit_counting },
	{ "breakpoint", breakpoint },
	{ "self-modifying", self_modifying },
	{ "task-switched-flag", task_switched_flag },
	{ "debug-registers", debug_registers },
	{ "x87", x87 },
	{ "sse", sse },
	{ "fxsave", fxsave },
	{ "xsave", xsave },
	{ "avx", avx },
	{ "monitor", monitor },
);
