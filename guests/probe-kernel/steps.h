/* SPDX-License-Identifier: Apache-2.0 */
/* The steps, by the file they are in, and what these files share. */
#ifndef PROBE_STEPS_H
#define PROBE_STEPS_H

#include "guest.h"

#define CR4_PGE (1 << 7)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_FSGSBASE (1 << 16)
#define CR4_PCIDE (1 << 17)
#define CR4_OSXSAVE (1 << 18)
#define CR4_SMAP (1 << 21)

// clang-format off
/* Runs an instruction that may fault and fails the step if it does. */
#define STEP(insn, ...) do { \
	fault_clear(); \
	asm volatile(FAULTABLE(insn) __VA_ARGS__); \
	check_equal(fault_taken(), NO_FAULT); \
	} while (0)

static inline bool leaf1_ecx(int bit) { return cpuid(1, 0).ecx & (1u << bit); }
static inline bool leaf7_ebx(int bit)
{
	return cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & (1u << bit));
}

static inline void cr4_set(u64 bits) { WRITE_CR(4, READ_CR(4) | bits); }
static inline void cr4_clear(u64 bits) { WRITE_CR(4, READ_CR(4) & ~bits); }
// clang-format on

extern u8 area[4096]; /* to play with */
extern u64 words[8];

/* state.c */
void step_flags(void);
void step_control_registers(void);
void step_debug_registers(void);
void step_task_switched_flag(void);
void step_descriptor_tables(void);
void step_segments(void);
void step_swapgs(void);
void step_fsgsbase(void);
void step_msrs(void);
void step_exact_msrs(void);
void step_speculation_msrs(void);
void step_invalidate(void);
void step_pcid(void);
void step_smap(void);
void step_caches(void);

/* control.c */
void step_far_return(void);
void step_task_register(void);
void step_interrupt_return(void);
void step_user_mode(void);
void step_user_interrupts(void);
void step_system_call(void);
void step_user_gate(void);
void step_breakpoint(void);
void step_self_modifying(void);

/* arithmetic.c */
void step_fences(void);
void step_timestamps(void);
void step_random(void);
void step_atomics(void);
void step_cmpxchg16b(void);
void step_strings(void);
void step_integers(void);
void step_bit_counting(void);
void step_monitor(void);

/* vector.c */
void step_x87(void);
void step_sse(void);
void step_fxsave(void);
void step_xsave(void);
void step_avx(void);

#endif
