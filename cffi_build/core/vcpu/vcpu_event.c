// SPDX-License-Identifier: Apache-2.0
// Exits that are no plain access: what becomes of them, and what Python is told.
#include "vcpu.h"

#include "dev.h"
#include "ioapic.h"

COLD int vcpu_device_asks(struct vcpu *v, const struct trace_record *t, int result,
			  struct vcpu_event *ret)
{
	if (result == DEV_EVENT_HYPERCALL && v->hypervisor_ops)
		return v->hypervisor_ops->hypercall(v, ret);
	ret->kind = result > 0 ? VCPU_DEVICE : VCPU_UPCALL_FAILED;
	ret->exit_reason = v->run->exit_reason;
	ret->code = result;
	ret->address = t->address;
	ret->value = t->value;
	ret->size = t->size;
	return 1;
}

static int handle_msr(struct vcpu *v, struct trace_record *t, struct vcpu_event *ret)
{
	struct kvm_run *run = v->run;
	bool write = run->exit_reason == KVM_EXIT_X86_WRMSR;

	hist_add(&v->hist, write ? HIST_MSR_WRITE : HIST_MSR_READ, run->msr.index);
	t->address = run->msr.index;
	t->value = write ? run->msr.data : 0;
	t->size = 8;
	t->flags = write ? TRACE_WRITE : 0;
	*ret = (struct vcpu_event){ .kind = VCPU_MSR,
				    .exit_reason = run->exit_reason,
				    .address = t->address,
				    .value = t->value };
	return 1;
}

static uint32_t event_kind(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_SHUTDOWN:
		return VCPU_SHUTDOWN;
	case KVM_EXIT_SYSTEM_EVENT:
		return VCPU_SYSTEM_EVENT;
	case KVM_EXIT_HLT:
		return VCPU_HLT;
	case KVM_EXIT_DEBUG:
		return VCPU_DEBUG;
	case KVM_EXIT_XEN:
		return VCPU_XEN;
	case KVM_EXIT_INTERNAL_ERROR:
		return VCPU_INTERNAL_ERROR;
	case KVM_EXIT_FAIL_ENTRY:
		return VCPU_FAIL_ENTRY;
	default:
		return VCPU_UNKNOWN;
	}
}

COLD int vcpu_other_exit(struct vcpu *v, uint32_t reason, struct trace_record *t,
			 struct vcpu_event *ret)
{
	t->address = t->value = 0;
	t->size = t->flags = 0;
	v->stale = reason == KVM_EXIT_XEN || reason == KVM_EXIT_X86_RDMSR ||
		   reason == KVM_EXIT_X86_WRMSR;
	switch (reason) {
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return handle_msr(v, t, ret);
	case KVM_EXIT_IOAPIC_EOI:
		t->value = v->run->eoi.vector;
		if (v->vm->ioapic)
			ioapic_eoi(v->vm->ioapic, v->run->eoi.vector);
		return 0;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_INTR:
		return 0;
	case KVM_EXIT_XEN:
		if (v->xen_answer && v->run->xen.type == KVM_EXIT_XEN_HCALL && v->xen_answer(v))
			return 0;
		break;
	case KVM_EXIT_DEBUG:
		if (v->hypervisor_ops)
			return v->hypervisor_ops->debug(v, ret);
		break;
	}
	*ret = (struct vcpu_event){ .kind = event_kind(reason), .exit_reason = reason };
	return 1;
}
