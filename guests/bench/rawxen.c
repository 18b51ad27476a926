// SPDX-License-Identifier: Apache-2.0
/*
 * rawvmm: a Xen domain of one vCPU, all of whose events stay in KVM. The calls by which the tiny
 * guests set themselves up are taken at their word; others do nothing. Addresses are physical ones.
 */
#include <err.h>
#include <linux/kvm.h>
#include <string.h>

#include "raw.h"

enum { MEMORY_OP = 12, VCPU_OP = 24, EVENT_CHANNEL_OP = 32, HVM_OP = 34 };
enum { PORT = 1, MSR = 0x40000000 };

static uint64_t word(uint64_t address, unsigned int size)
{
	uint64_t value = 0;

	if (address + size > opt.mem)
		errx(6, "a hypercall's argument at %#llx", (unsigned long long)address);
	memcpy(&value, ram + address, size);
	return value;
}

void raw_xen(int vm)
{
	struct kvm_xen_hvm_config config = { .flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL |
						      KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
					     .msr = MSR };
	struct kvm_xen_hvm_attr wide = { .type = KVM_XEN_ATTR_TYPE_LONG_MODE, .u.long_mode = 1 };

	CALL(vm, KVM_XEN_HVM_CONFIG, &config);
	CALL(vm, KVM_XEN_HVM_SET_ATTR, &wide);
}

// XENMAPSPACE_shared_info, whatever the guest asks for.
static void place_shared(int vm, uint64_t argument)
{
	struct kvm_xen_hvm_attr attr = { .type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
					 .u.shared_info.gfn = word(argument + 16, 8) };

	CALL(vm, KVM_XEN_HVM_SET_ATTR, &attr);
}

static void place_info(int vcpu, uint64_t argument)
{
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO };

	attr.u.gpa = word(argument, 8) * 4096 + word(argument + 8, 4);
	CALL(vcpu, KVM_XEN_VCPU_SET_ATTR, &attr);
}

static void use_vector(int vcpu, uint64_t argument)
{
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
					  .u.vector = (uint8_t)word(argument + 4, 1) };

	CALL(vcpu, KVM_XEN_VCPU_SET_ATTR, &attr);
}

static void bind_ipi(int vm, uint64_t argument)
{
	struct kvm_xen_hvm_attr attr = { .type = KVM_XEN_ATTR_TYPE_EVTCHN };
	uint32_t port = PORT;

	attr.u.evtchn.send_port = attr.u.evtchn.deliver.port.port = PORT;
	attr.u.evtchn.type = 5; // EVTCHNSTAT_ipi
	attr.u.evtchn.deliver.port.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL;
	CALL(vm, KVM_XEN_HVM_SET_ATTR, &attr);
	word(argument, 8);
	memcpy(ram + argument + 4, &port, sizeof(port));
}

void raw_xen_call(int vm, int vcpu, struct kvm_run *run)
{
	uint64_t number = run->xen.u.hcall.input, *params = (uint64_t *)run->xen.u.hcall.params;

	if (number == MEMORY_OP)
		place_shared(vm, params[1]);
	else if (number == VCPU_OP)
		place_info(vcpu, params[2]);
	else if (number == HVM_OP)
		use_vector(vcpu, params[1]);
	else if (number == EVENT_CHANNEL_OP)
		bind_ipi(vm, params[1]);
	run->xen.u.hcall.result = 0;
}
