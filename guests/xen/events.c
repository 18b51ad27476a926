// SPDX-License-Identifier: Apache-2.0
// Event channels: ports, delivery to this and another CPU, masks, timer and poll.
#include "xen.h"

void ports(void)
{
	struct evtchn_status status = { DOMID_SELF, 0, 0, 0, 0, {} };
	u32 unbound[2] = { DOMID_SELF, 0 };
	u32 port = bind_ipi(1);

	check(port > 0);
	status.port = port;
	check_equal(evtchn_op(5, &status), 0);
	check_equal(status.status, 5);
	check_equal(status.vcpu, 1);
	check_equal(evtchn_op(6, unbound), 0); /* for the back-end's domain, 0 */
	status.port = unbound[1];
	check(unbound[1] != port);
	check_equal(evtchn_op(5, &status), 0);
	check_equal(status.status, 1);
	check_equal(status.u[0] & 0xffff, 0);
	check_equal(evtchn_op(4, &unbound[1]), 0); /* nobody hears it */
	close_port(port);
	close_port(unbound[1]);
	CHECK_ERROR(evtchn_op(3, &port), EINVAL);
	status.port = port;
	check_equal(evtchn_op(5, &status), 0);
	check_equal(status.status, 0);
}

/* As many as there can be, and one more. */
void all_ports(void)
{
	u32 argument[2] = { DOMID_SELF, 0 }, n = 0;
	u16 self = DOMID_SELF;
	long err;

	while (!(err = evtchn_op(6, argument)) && n < 5000)
		n++;
	check_equal(n, 4094); /* port 0 is none, and the store has one */
	CHECK_ERROR(err, ENOSPC);
	check_equal(evtchn_op(10, &self), 0);
	close_port(bind_ipi(0));
}

void ipi_self(void)
{
	u64 via = 2ull << 56 | VEC_GLOBAL;
	u32 port = bind_ipi(0);

	irq_begin();
	trap_set(VEC_GLOBAL, on_upcall_global);
	trap_set(VEC_CPU, on_upcall);
	if (by_hand) {
		check_equal(evtchn_op(4, &port), 0);
		use_vector(0, VEC_CPU); /* after the event */
	} else {
		check_equal(hvm_param(0, 0, &via), 0);
		check_equal(evtchn_op(4, &port), 0);
	}
	check_equal(came(1, SLOW_MS), 1);
	check(!set(shared->pending, port));
	check_equal(evtchn_op(4, &port), 0);
	check_equal(evtchn_op(4, &port), 0); /* told once, taken once */
	check_equal(came(1, SLOW_MS), 1);
	close_port(port);
}

void masked(void)
{
	u32 port = bind_ipi(0);

	mask(port);
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, 20), 0);
	check(set(shared->pending, port));
	check_equal(evtchn_op(9, &port), 0);
	check_equal(came(1, SLOW_MS), 1);
	check(!set(shared->mask, port));
	check_equal(evtchn_op(9, &port), 0); /* nothing waits */
	check_equal(came(1, 20), 0);
	close_port(port);
}

void vcpu_vector(void)
{
	u32 port = bind_ipi(0), i;
	u64 via = 0;

	if (!by_hand) {
		check_equal(hvm_param(0, 0, &via), 0); /* nothing tells this CPU for a while */
		check_equal(evtchn_op(4, &port), 0);
		check_equal(came(1, 20), 0);
		use_vector(0, VEC_CPU);
		check_equal(came(1, SLOW_MS), 1); /* what came before */
	}
	use_vector(1, VEC_CPU); /* it waits to be started */
	for (i = 0; i < 3; i++) {
		check_equal(evtchn_op(4, &port), 0);
		check_equal(came(1, SLOW_MS), 1);
	}
	close_port(port);
}

void interdomain(void)
{
	struct {
		u16 dom, pad;
		u32 remote, local;
	} bind = { DOMID_SELF, 0, 0, 0 };
	u32 unbound[2] = { DOMID_SELF | (u32)DOMID_SELF << 16, 0 }, next;

	check_equal(evtchn_op(6, unbound), 0);
	bind.remote = unbound[1];
	next = unbound[1] + 1; /* the lowest that is free */
	mask(next);
	check_equal(evtchn_op(0, &bind), 0);
	check_equal(came(1, 20), 0); /* masked */
	check(set(shared->mask, bind.local));
	check_equal(evtchn_op(9, &bind.local), 0);
	check_equal(came(1, SLOW_MS), 1); /* it is told of being bound */
	CHECK_ERROR(evtchn_op(0, &bind), EINVAL); /* once only */
	mask(bind.local);
	check_equal(evtchn_op(4, &unbound[1]), 0);
	check(set(shared->pending, bind.local)); /* the other end, and not this one */
	check(!set(shared->pending, unbound[1]));
	check_equal(evtchn_op(4, &bind.local), 0);
	check_equal(came(1, SLOW_MS), 1);
	close_port(bind.local);
	check_equal(evtchn_op(4, &unbound[1]), 0); /* unbound again */
	close_port(unbound[1]);
}

void timer(void)
{
	u32 bind[3] = { 0, 0, 0 };
	struct {
		u64 when;
		u32 flags;
	} shot = { 0, 0 };
	u64 now;

	check_equal(evtchn_op(1, bind), 0);
	CHECK_ERROR(evtchn_op(1, bind), EEXIST);
	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	shot.when = now + 20000000;
	check_equal(hypercall(VCPU_OP, 8, 0, (u64)&shot), 0);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	check(now >= shot.when);
	shot.when = 1; /* long ago: at once */
	check_equal(hypercall(VCPU_OP, 8, 0, (u64)&shot), 0);
	check_equal(came(1, SLOW_MS), 1);
	shot.when = ~0ull >> 1;
	check_equal(hypercall(VCPU_OP, 8, 0, (u64)&shot), 0);
	check_equal(hypercall(VCPU_OP, 9, 0, 0), 0);
	check_equal(hypercall(VCPU_OP, 7, 0, 0), 0);
	CHECK_ERROR(hypercall(VCPU_OP, 9, 1, 0), EINVAL); /* another vCPU's */
	close_port(bind[2]);
}

void poll(void)
{
	u32 port = bind_ipi(0);
	struct {
		u32 *ports;
		u32 count;
		u64 timeout;
	} argument = { &port, 1, 0 };
	u64 now;

	mask(port);
	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	argument.timeout = now + 5000000;
	check_equal(hypercall(SCHED_OP, 3, (u64)&argument, 0), 0); /* nothing comes */
	check_equal(evtchn_op(4, &port), 0);
	argument.timeout = 0;
	check_equal(hypercall(SCHED_OP, 3, (u64)&argument, 0), 0); /* there is something */
	check(set(shared->pending, port));
	argument.count = 0x10000;
	check((s64)hypercall(SCHED_OP, 3, (u64)&argument, 0) < 0);
	close_port(port);
}

/* shared_info moves while an event waits in it: nothing is lost. */
void remap(void)
{
	u32 port = bind_ipi(0), i;

	for (i = 1; i <= 20; i++) {
		check_equal(evtchn_op(4, &port), 0);
		check_equal(map_shared(pages[i & 1]), 0);
		check(shared->wc_sec || shared->wc_sec_hi);
		check(came(1, SLOW_MS) >= 1);
	}
	close_port(port);
}
