// SPDX-License-Identifier: Apache-2.0
/*
 * Can this KVM run what a stock kernel executes in ring 0? One step an instruction or state; a
 * fault makes a step fail, an instruction KVM cannot emulate ends the machine at it ("trace" names
 * each step first, "skip=a,b" goes round those). Steps that CPUID does not offer count as done: a
 * kernel would not take them.
 */
#include "steps.h"

u8 area[4096] __attribute__((aligned(64)));
u64 words[8] __attribute__((aligned(16)));

const struct test tests[] = {
	{ "flags", step_flags },
	{ "control-registers", step_control_registers },
	{ "descriptor-tables", step_descriptor_tables },
	{ "segments", step_segments },
	{ "far-return", step_far_return },
	{ "interrupt-return", step_interrupt_return },
	{ "task-register", step_task_register },
	{ "user-mode", step_user_mode },
	{ "user-interrupts", step_user_interrupts },
	{ "system-call", step_system_call },
	{ "user-gate", step_user_gate },
	{ "swapgs", step_swapgs },
	{ "fsgsbase", step_fsgsbase },
	{ "msrs", step_msrs },
	{ "exact-msrs", step_exact_msrs },
	{ "speculation-msrs", step_speculation_msrs },
	{ "invalidate", step_invalidate },
	{ "pcid", step_pcid },
	{ "smap", step_smap },
	{ "caches", step_caches },
	{ "fences", step_fences },
	{ "timestamps", step_timestamps },
	{ "random", step_random },
	{ "atomics", step_atomics },
	{ "cmpxchg16b", step_cmpxchg16b },
	{ "strings", step_strings },
	{ "integers", step_integers },
	{ "bit-counting", step_bit_counting },
	{ "breakpoint", step_breakpoint },
	{ "self-modifying", step_self_modifying },
	{ "task-switched-flag", step_task_switched_flag },
	{ "debug-registers", step_debug_registers },
	{ "x87", step_x87 },
	{ "sse", step_sse },
	{ "fxsave", step_fxsave },
	{ "xsave", step_xsave },
	{ "avx", step_avx },
	{ "monitor", step_monitor },
	{},
};
