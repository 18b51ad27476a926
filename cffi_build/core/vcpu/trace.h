// SPDX-License-Identifier: Apache-2.0
// The flight recorder: the last exits of one vCPU, as numbers. Python turns them into words.
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include "base.h"

#define TRACE_RECORDS 256 // a power of two

enum {
	TRACE_WRITE = 1,
	TRACE_COALESCED = 2, // the kernel had queued it; `tsc` is when it was drained
};

struct trace_record {
	uint64_t tsc; // host TSC
	uint64_t address; // port, guest-physical address or MSR; 0 where an exit has none
	uint64_t value; // data written or read
	uint32_t reason; // KVM_EXIT_*
	uint16_t size;
	uint16_t flags;
};

// Written by the vCPU's own thread only; readers look at it while that thread is not in vcpu_run().
struct trace {
	uint64_t count; // records ever written; the newest is at (count - 1) % TRACE_RECORDS
	struct trace_record record[TRACE_RECORDS];
};

static inline uint64_t trace_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

static inline struct trace_record *trace_next(struct trace *t)
{
	struct trace_record *next = &t->record[t->count++ & (TRACE_RECORDS - 1)];

	OPAQUE(next);
	return next;
}

#endif
