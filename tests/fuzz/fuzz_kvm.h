// SPDX-License-Identifier: Apache-2.0
// Answers KVM's ioctls in a target in which no guest runs: what they store is there to be read, and
// linear addresses lead where the input says.
#ifndef FUZZ_KVM_H
#define FUZZ_KVM_H

#include <stdarg.h>
#include <sys/ioctl.h>

#include "fuzz.h"
#include "timer.h"
#include "vcpu.h"

#define PAGE 4096u
#define PAGES 8u
#define LINEAR_PAGES 16u // of them the upper ones are nowhere, or no RAM
#define VCPUS 2u
#define VM_FD 1000
#define VCPU_FD 1001

struct fake_kvm {
	struct vclock *clock;
	struct vcpu vcpu[VCPUS];
	uint32_t mp_state[VCPUS];
	struct kvm_debugregs debug[VCPUS];
	uint8_t map[LINEAR_PAGES];
	bool deaf; // local APICs take no message
};

static struct fake_kvm *the_kvm; // ioctl() has nothing else to find it by

// The last page of 32 bits and that of 64 are there too.
static inline void translate(struct fake_kvm *k, struct kvm_translation *t)
{
	uint64_t page = t->linear_address / PAGE;

	if (page == UINT32_MAX / PAGE || page == UINT64_MAX / PAGE)
		page = LINEAR_PAGES - 1;
	t->valid = page < LINEAR_PAGES && k->map[page] < 0xf0;
	if (t->valid)
		t->physical_address = k->map[page] % (PAGES + 2) * PAGE + t->linear_address % PAGE;
}

static inline int vcpu_ioctl(struct fake_kvm *k, uint32_t n, unsigned long request, void *at)
{
	switch (request) {
	case KVM_TRANSLATE:
		translate(k, at);
		return 0;
	case KVM_GET_MP_STATE:
		((struct kvm_mp_state *)at)->mp_state = k->mp_state[n];
		return 0;
	case KVM_SET_MP_STATE:
		k->mp_state[n] = ((struct kvm_mp_state *)at)->mp_state;
		return 0;
	case KVM_GET_DEBUGREGS:
		*(struct kvm_debugregs *)at = k->debug[n];
		return 0;
	case KVM_SET_DEBUGREGS:
		k->debug[n] = *(struct kvm_debugregs *)at;
		return 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)at = k->vcpu[n].run->s.regs.regs;
		return 0;
	case KVM_SET_REGS:
	case KVM_SET_GUEST_DEBUG:
		return 0;
	}
	abort();
}

int ioctl(int fd, unsigned long request, ...)
{
	struct fake_kvm *k = the_kvm;
	va_list rest;

	va_start(rest, request);
	void *at = va_arg(rest, void *);
	va_end(rest);
	if (fd != VM_FD)
		return vcpu_ioctl(k, (uint32_t)(fd - VCPU_FD), request, at);
	if (request == KVM_SIGNAL_MSI)
		return !k->deaf;
	if (request == KVM_XEN_HVM_EVTCHN_SEND)
		return 0;
	MUST(request == KVM_GET_CLOCK);
	*(struct kvm_clock_data *)at =
		(struct kvm_clock_data){ .clock = (uint64_t)vclock_ns(k->clock) + 1000 };
	return 0;
}

#endif
