// SPDX-License-Identifier: Apache-2.0
// Hypercalls: from an exit to registers, and to who answers.
#include "xenfetch.h"
#include "xenus_impl.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EFER_LMA (1 << 10)
#define CR0_PE 1
#define CALL_BYTES 3 // of VMCALL, VMMCALL, and what stands in their place

static int port_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size, (void)ret; // all-ones on entry
	return 0;
}

static int port_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)value;
	return size == 1 ? DEV_EVENT_HYPERCALL : 0;
}

static const struct dev_ops port_ops = { .read = port_read, .write = port_write };

// GUEST: registers of a hypercall. KVM wrote them to kvm_run; the guest cannot change them again.
void xenus_collect(struct xenus_vcpu *u)
{
	const struct kvm_regs *r = &u->v->run->s.regs.regs;
	const struct kvm_sregs *s = &u->v->run->s.regs.sregs;
	struct vcpu_hypercall *c = &u->call;

	c->longmode = (s->efer & EFER_LMA) && s->cs.l;
	c->cpl = s->cr0 & CR0_PE ? s->ss.dpl : 0;
	if (c->longmode) {
		*c = (struct vcpu_hypercall){ r->rax,
					      { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 },
					      c->longmode,
					      c->cpl };
		return;
	}
	*c = (struct vcpu_hypercall){ (uint32_t)r->rax,
				      { (uint32_t)r->rbx, (uint32_t)r->rcx, (uint32_t)r->rdx,
					(uint32_t)r->rsi, (uint32_t)r->rdi, (uint32_t)r->rbp },
				      c->longmode,
				      c->cpl };
}

// What the guest finds in RAX; behind a breakpoint it goes on after the instruction.
static void answer(struct vcpu *v, int64_t result)
{
	struct kvm_run *run = v->run;

	run->s.regs.regs.rax = (uint64_t)result;
	if (run->exit_reason == KVM_EXIT_DEBUG)
		run->s.regs.regs.rip += CALL_BYTES;
	run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	v->stale = true;
}

int64_t xenus_fetch(struct xenus_vcpu *u, uint64_t linear, void *to, uint64_t length)
{
	const struct evtchn *bits = &u->x->bits;
	struct xenfetch where = { bits->memory, bits->dev, u->v->fd, u->call.longmode };
	int err = xenfetch(&where, linear, to, length);

	if (unlikely(u->ring) && !err)
		xenus_keep_behind(u, to, length);
	return err;
}

static int64_t quick_answer(struct xenus_vcpu *u)
{
	const struct vcpu_hypercall *c = &u->call;
	uint32_t op = (uint32_t)c->params[0];

	if (c->cpl || (u->x->pass_all && c->number != XEN_SCHED_OP))
		return XENUS_PASS;
	switch (c->number) {
	case XEN_EVENT_CHANNEL_OP:
		return op == EVTCHNOP_send     ? xenus_op_send(u)
		       : op == EVTCHNOP_unmask ? xenus_op_unmask(u)
					       : XENUS_PASS;
	case XEN_VCPU_OP:
		return xenus_op_vcpu(u);
	case XEN_SET_TIMER_OP:
		return xenus_op_set_timer(u);
	case XEN_SCHED_OP:
		if (op == SCHEDOP_poll)
			return xenus_op_poll(u);
		if (op != SCHEDOP_yield)
			return XENUS_PASS;
		__atomic_fetch_add(&u->x->counters.yields, 1, __ATOMIC_RELAXED);
		sched_yield();
		return 0;
	}
	return XENUS_PASS;
}

// What is refused is Python's too, which counts it by its name; but for a timer's end that has
// passed, which is all in a day's work.
static int64_t answered_here(struct xenus_vcpu *u)
{
	int64_t began = xenus_begin_call(u), result = quick_answer(u);

	if (result < 0 && result != -XEN_ETIME)
		return XENUS_PASS;
	xenus_tell_call(u, began, result);
	return result;
}

int xenus_hypercall(struct vcpu *v, struct vcpu_event *ret)
{
	struct xenus_vcpu *u = xenus_vcpu_of(v);

	if (v->run->exit_reason == KVM_EXIT_IO && v->run->io.count != 1)
		return 0; // a string instruction is none
	xenus_collect(u);
	{
		LOCKED(&u->x->lock);
		xenus_stop_polling(u);
		if (unlikely(u->x->owing))
			xenus_pay(u->x);
	}
	int64_t result = answered_here(u);
	xenus_note_runstate(u);
	if (result == XENUS_PASS) {
		*ret = (struct vcpu_event){ .kind = VCPU_XEN, .exit_reason = v->run->exit_reason };
		return 1;
	}
	answer(v, result);
	return 0;
}

static void get(struct vcpu *v, struct vcpu_hypercall *ret)
{
	*ret = xenus_vcpu_of(v)->call;
}

// A poll is over: the vCPU runs on. One that waits to be started is left alone.
static void wake(struct vcpu *v)
{
	uint32_t wishes = atomic_exchange(&xenus_vcpu_of(v)->wishes, 0);
	struct kvm_mp_state mp;

	if (wishes & XENUS_SITES)
		xenus_take_sites(xenus_vcpu_of(v));
	if (!(wishes & XENUS_GO_ON))
		return;
	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp) || mp.mp_state != KVM_MP_STATE_HALTED)
		return;
	mp.mp_state = KVM_MP_STATE_RUNNABLE;
	ioctl(v->fd, KVM_SET_MP_STATE, &mp);
}

static const struct hypervisor_ops ops = {
	.hypercall = xenus_hypercall,
	.debug = xenus_debug,
	.get = get,
	.answer = answer,
	.wake = wake,
};

static void retry(void *opaque)
{
	struct xenus *x = opaque;

	LOCKED(&x->lock);
	xenus_pay(x);
}

struct xenus *xenus_create(struct vmcore *vm, struct gmem *memory, struct gmem_dev *dev,
			   struct vclock *clock, struct loop *loop, uint32_t vcpus)
{
	struct xenus *x = calloc(1, sizeof(*x) + vcpus * sizeof(x->vcpu[0]));

	if (!x)
		return NULL;
	dev_init(&x->dev, &port_ops, 0);
	pthread_mutex_init(&x->lock, NULL);
	x->vm = vm;
	x->bits = (struct evtchn){ .memory = memory, .dev = dev, .page = XENUS_NOWHERE };
	x->clock = clock;
	x->loop = loop;
	x->gsi_fd = x->lowered_fd = x->lowered_handle = -1;
	int err = timer_init(&x->retry, clock, loop, retry, x);
	for (; x->count < vcpus && !err; x->count++) {
		struct xenus_vcpu *u = &x->vcpu[x->count];
		*u = (struct xenus_vcpu){ .x = x, .index = x->count, .info = XENUS_NOWHERE };
		u->runstate = XENUS_NOWHERE;
		u->sched_fd = -1;
		err = timer_init(&u->timer, clock, loop, xenus_timer_fired, u);
		if (!err)
			err = timer_init(&u->poll_timer, clock, loop, xenus_poll_timed_out, u);
	}
	if (!err)
		return x;
	xenus_destroy(x);
	errno = -err;
	return NULL;
}

void xenus_destroy(struct xenus *x)
{
	xenus_set_gsi(x, -1, -1);
	for (uint32_t port = 0; port < EVTCHN_PORTS64; port++)
		xenus_close_channel(x, port);
	for (uint32_t i = 0; i < x->count; i++) {
		timer_deinit(&x->vcpu[i].timer);
		timer_deinit(&x->vcpu[i].poll_timer);
		free(x->vcpu[i].ring);
		if (x->vcpu[i].sched_fd >= 0)
			close(x->vcpu[i].sched_fd);
	}
	timer_deinit(&x->retry);
	pthread_mutex_destroy(&x->lock);
	dev_deinit(&x->dev);
	free(x);
}

void xenus_know_vcpu(struct xenus *x, uint32_t index, struct vcpu *v)
{
	x->vcpu[index].v = v;
}

void xenus_add_vcpu(struct xenus *x, uint32_t index, struct vcpu *v)
{
	xenus_know_vcpu(x, index, v);
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	v->hypervisor = &x->vcpu[index];
	v->hypervisor_ops = &ops;
}

void xenus_pass_all(struct xenus *x)
{
	x->pass_all = true;
}

void xenus_counters(struct xenus *x, struct xenus_counters *ret)
{
	LOCKED(&x->lock);
	*ret = x->counters;
}
