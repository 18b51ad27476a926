// SPDX-License-Identifier: Apache-2.0
// Plain and atomic instructions a compiler emits, string moves, fences, counters.
// clang-format off
#include "steps.h"

void step_fences(void)
{
	STEP("mfence; lfence; sfence; pause; nopw 0(%%rax, %%rax, 1); endbr64", ::: "memory");
}

void step_timestamps(void)
{
	u64 a = 0;

	STEP("rdtsc", : "=a"(a) :: "rdx");
	if (cpuid(0x80000001, 0).edx & (1 << 27))
		STEP("rdtscp", : "=a"(a) :: "rcx", "rdx");
}

void step_random(void)
{
	u64 v;

	if (leaf1_ecx(30))
		STEP("rdrand %0", : "=r"(v));
	if (leaf7_ebx(18))
		STEP("rdseed %0", : "=r"(v));
}

void step_atomics(void)
{
	u64 a = 1, old = 5;

	words[0] = 5;
	asm volatile("lock xadd %0, %1" : "+r"(a), "+m"(words[0]));
	check(a == 5 && words[0] == 6);
	asm volatile("lock cmpxchg %2, %1" : "+a"(old), "+m"(words[0]) : "r"(9ull));
	check(old == 6 && words[0] == 6);
	asm volatile("lock btsq $0, %0; lock btrq $1, %0; lock btcq $2, %0;"
		     "lock incq %0; lock negq %0"
		     : "+m"(words[0]));
	asm volatile("xchg %0, %1" : "+r"(a), "+m"(words[0]));
	asm volatile("lock cmpxchg8b %0" : "+m"(words[1]) :: "rax", "rdx", "rbx", "rcx");
}

void step_cmpxchg16b(void)
{
	u64 low = words[2], high = words[3];

	if (!leaf1_ecx(13))
		return;
	STEP("lock cmpxchg16b %2", : "+a"(low), "+d"(high) : "m"(words[2]), "b"(7ull), "c"(8ull)
	     : "memory");
	check(words[2] == 7 && words[3] == 8);
}

void step_strings(void)
{
	memset(area, 0x11, 256);
	memcpy(area + 256, area, 256);
	asm volatile("mov $256, %%ecx; mov %0, %%rsi; lea 256(%%rsi), %%rdi; repe cmpsb; setz %1"
		     :: "r"(area), "m"(words[4]) : "rcx", "rsi", "rdi", "memory");
	check_equal(words[4] & 1, 1);
	asm volatile("mov $256, %%ecx; mov %0, %%rdi; mov $0x22, %%al; repne scasb"
		     :: "r"(area) : "rcx", "rdi", "rax");
	asm volatile("mov $32, %%ecx; mov %0, %%rdi; rep stosq;"
		     "mov $32, %%ecx; mov %0, %%rsi; rep lodsq; std; cld"
		     :: "r"(area) : "rcx", "rdi", "rsi", "rax", "memory");
}

void step_integers(void)
{
	u64 a = 0x123456789abcdef0, d = 0;

	asm volatile("mul %2; div %2; imul $3, %0; bswap %0; bsf %0, %1; bsr %0, %1;"
		     "shld $3, %0, %1; shrd $3, %0, %1"
		     : "+a"(a), "+d"(d) : "r"(77ull));
	asm volatile("cqo; cdqe; xlatb; sahf; lahf" : "+a"(a), "+d"(d) : "b"(area));
	asm volatile("enter $16, $0; leave" ::: "memory");
	asm volatile("cmc; stc; clc; adc $1, %0; sbb $1, %0; rcl $1, %0; rcr $1, %0;"
		     "setc %b0; cmovz %1, %0"
		     : "+r"(a) : "r"(d));
}

void step_bit_counting(void)
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

void step_monitor(void)
{
	if (!leaf1_ecx(3))
		return;
	STEP("monitor", :: "a"(area), "c"(0), "d"(0));
}
