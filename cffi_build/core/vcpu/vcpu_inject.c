// SPDX-License-Identifier: Apache-2.0
// The split irqchip's 8259 pair and the processor's INTR input: acknowledge and inject.
//
// KVM_INTERRUPT is not used for it: with a split irqchip KVM keeps its vector where no ioctl shows
// it or takes it back, so a vCPU that was kicked just then would lose the interrupt in a saved
// state and take it after a reset. The vector goes into the vCPU's events instead, a part of its
// state as any other. That is allowed at an instruction boundary only, which is what
// ready_for_interrupt_injection says, once the last access is complete.
#include <sys/ioctl.h>

#include "pic.h"
#include "vcpu.h"

// May the guest be a hypervisor whose own guest runs now? Then it is KVM's to decide whose
// interrupt this is, by KVM_INTERRUPT. The state's size tells: it is more than the header.
static bool maybe_nested(const struct vcpu *v)
{
	struct kvm_nested_state header = { .size = sizeof(header) };

	return ioctl(v->fd, KVM_GET_NESTED_STATE, &header) && errno == E2BIG;
}

static int interrupt(struct vcpu *v, uint8_t vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	return ioctl(v->fd, KVM_INTERRUPT, &irq) ? -errno : 0;
}

// The vector becomes the interrupt that the next entry delivers; a halted vCPU is awake then.
static int put_event(struct vcpu *v, uint8_t vector)
{
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;

	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) || ioctl(v->fd, KVM_GET_MP_STATE, &mp))
		return -errno;
	events.interrupt.injected = 1;
	events.interrupt.nr = vector;
	events.interrupt.soft = 0;
	events.flags = 0; // an NMI that comes from another vCPU meanwhile is not written over
	if (ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events))
		return -errno;
	if (mp.mp_state != KVM_MP_STATE_HALTED)
		return 0;
	mp.mp_state = KVM_MP_STATE_RUNNABLE;
	return ioctl(v->fd, KVM_SET_MP_STATE, &mp) ? -errno : 0;
}

COLD int vcpu_inject_pic(struct vcpu *v, struct vcpu_event *ret)
{
	struct pic *pic = v->vm->pic;
	struct kvm_run *run = v->run;
	bool asks = pic_output(pic); // it may rise at any time, and kicks us when it does

	if (asks && v->stale) {
		// In, to complete the access and to have KVM look again, and at once out.
		__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	} else if (asks && run->ready_for_interrupt_injection) {
		uint8_t vector = (uint8_t)pic_ack(pic);
		int err = maybe_nested(v) ? interrupt(v, vector) : put_event(v, vector);
		if (err) {
			*ret = (struct vcpu_event){ .kind = VCPU_INJECT_FAILED, .code = err };
			return 1;
		}
		v->counters.injected++;
		run->ready_for_interrupt_injection = 0;
		asks = pic_output(pic);
	}
	run->request_interrupt_window = asks;
	return 0;
}
