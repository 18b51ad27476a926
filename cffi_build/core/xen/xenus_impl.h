// SPDX-License-Identifier: Apache-2.0
// What the files of `xenus` share.
#ifndef VMM_XENUS_IMPL_H
#define VMM_XENUS_IMPL_H

#include "loop.h"
#include "xenus.h"

// Xen's public interface, by its names there.
enum {
	XEN_SET_TIMER_OP = 15,
	XEN_VCPU_OP = 24,
	XEN_SCHED_OP = 29,
	XEN_EVENT_CHANNEL_OP = 32,
	EVTCHNOP_send = 4,
	EVTCHNOP_unmask = 9,
	SCHEDOP_yield = 0,
	SCHEDOP_poll = 3,
	VCPUOP_set_singleshot_timer = 8,
	VCPUOP_stop_singleshot_timer = 9,
	VCPU_SSHOTTMR_future = 1,
	XEN_ETIME = 62,
};

enum xenus_wish {
	XENUS_GO_ON = 1, // a poll is over
	XENUS_SITES = 2, // the domain's sites are to be the vCPU's
};

// Not an answer: Python answers it.
#define XENUS_PASS INT64_MIN

static inline struct xenus_vcpu *xenus_vcpu_of(const struct vcpu *v)
{
	return v->hypervisor;
}

// From an exit to the call's registers.
void xenus_collect(struct xenus_vcpu *u);
// The exit is a call. 0: it is answered; 1: *ret is for Python.
int xenus_hypercall(struct vcpu *v, struct vcpu_event *ret);
// The domain's sites become the vCPU's. Own thread.
void xenus_take_sites(struct xenus_vcpu *u);
// A debug exit: a call, or the guest's own exception. As above.
int xenus_debug(struct vcpu *v, struct vcpu_event *ret);
// The bytes at a linear address, length > 0: 0 or -EFAULT.
int64_t xenus_fetch(struct xenus_vcpu *u, uint64_t linear, void *to, uint64_t length);
// For whoever looks on: when an answer begins (0 if nobody does), what it has read of the guest's,
// and the end.
int64_t xenus_begin_call(struct xenus_vcpu *u);
void xenus_keep_behind(struct xenus_vcpu *u, const void *from, uint64_t length);
void xenus_tell_call(struct xenus_vcpu *u, int64_t began, int64_t result);
// The system time in nanoseconds.
uint64_t xenus_now(const struct xenus *x);

// With the lock held.
int xenus_make_pending(struct xenus *x, uint32_t port, uint32_t vcpu);
void xenus_raise(struct xenus_vcpu *u);
void xenus_pay(struct xenus *x);
void xenus_kick(const struct xenus_channel *c);
void xenus_stop_polling(struct xenus_vcpu *u);
// An event came to a port: vCPUs that poll for it go on.
void xenus_wake_pollers(struct xenus *x, uint32_t port);

// Answers, as the guest finds them in RAX, or XENUS_PASS.
int64_t xenus_op_send(struct xenus_vcpu *u);
int64_t xenus_op_unmask(struct xenus_vcpu *u);
int64_t xenus_op_poll(struct xenus_vcpu *u);
int64_t xenus_op_vcpu(struct xenus_vcpu *u);
int64_t xenus_op_set_timer(struct xenus_vcpu *u);

// The guest's EOI has lowered the callback's GSI.
void xenus_gsi_lowered(struct xenus *x);
void xenus_timer_fired(void *opaque);
void xenus_poll_timed_out(void *opaque);
// Own thread: now and then writes the run state where the guest wants it.
void xenus_note_runstate(struct xenus_vcpu *u);

#endif
