// SPDX-License-Identifier: Apache-2.0
/*
 * How fast is guest code, in ring 0 and in ring 3? Where a ring is emulated, an instruction takes a
 * thousand ticks instead of about one: an operating system kernel would take minutes to boot.
 */
// clang-format off
#include "guest.h"

#define ROUNDS 2000
#define PER_ROUND 4		/* instructions in the loop below */
#define EMULATED_TICKS 50	/* an instruction; neither native nor translated code comes near */

/* RAX: ticks for ROUNDS rounds. No stack, no memory: the same code serves both rings. */
#define LOOP \
	"rdtsc; shl $32, %%rdx; or %%rdx, %%rax; mov %%rax, %%rsi; mov %[n], %%ecx\n" \
	"1: add $3, %%rdi; xor %%rcx, %%rdi; dec %%ecx; jnz 1b\n" \
	"rdtsc; shl $32, %%rdx; or %%rdx, %%rax; sub %%rsi, %%rax\n"

static u64 loop_kernel(void)
{
	u64 ticks;

	asm volatile(LOOP : "=&a"(ticks) : [n] "i"(ROUNDS) : "rcx", "rdx", "rsi", "rdi", "memory");
	return ticks;
}

static void loop_user(void)
{
	asm volatile(LOOP USER_EXIT
		     :: [n] "i"(ROUNDS) : "rax", "rcx", "rdx", "rsi", "rdi", "memory");
}

static u64 report(const char *ring, u64 ticks)
{
	printf("# speed %s instructions=%u ticks=%lu\n", ring, ROUNDS * PER_ROUND, ticks);
	return ticks / (ROUNDS * PER_ROUND);
}

static u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

static void ring0_native(void)
{
	check(report("ring0", least(loop_kernel(), loop_kernel())) < EMULATED_TICKS);
}

static void ring3_native(void)
{
	user_init();
	check(report("ring3", least(user_run(loop_user), user_run(loop_user))) < EMULATED_TICKS);
}

const struct test tests[] = {
	{ "ring0-native", ring0_native },
	{ "ring3-native", ring3_native },
	{},
};
