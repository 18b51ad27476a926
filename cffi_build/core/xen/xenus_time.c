// SPDX-License-Identifier: Apache-2.0
// Timers and polling.
#include "xenus_impl.h"

#include <sys/ioctl.h>

#define FAR_NS (1ll << 50) // set_timer_op: who asks for more has lost track, and gets a bit
#define SOON_NS 100000000

uint64_t xenus_now(const struct xenus *x)
{
	struct kvm_clock_data clock = { 0 };

	ioctl(x->vm->wait.vm_fd, KVM_GET_CLOCK, &clock);
	return clock.clock;
}

// That moment on the machine's clock. now: the system time.
static int64_t deadline(const struct xenus *x, uint64_t expires, uint64_t now)
{
	int64_t here = vclock_ns(x->clock);

	if (expires <= now)
		return here;
	return expires - now > (uint64_t)(INT64_MAX - here) ? INT64_MAX
							    : here + (int64_t)(expires - now);
}

// --- timers

// Context: the lock is held. Due: the guest is told at once, without a turn of the loop.
static void arm(struct xenus_vcpu *u, uint64_t expires, uint64_t now)
{
	struct xenus *x = u->x;

	u->expires = expires;
	if (u->timer_port && expires > now) {
		timer_arm(&u->timer, deadline(x, expires, now));
		return;
	}
	timer_disarm(&u->timer);
	if (u->timer_port && !xenus_make_pending(x, u->timer_port, u->index))
		u->expires = 0;
}

void xenus_timer_fired(void *opaque)
{
	struct xenus_vcpu *u = opaque;

	LOCKED(&u->x->lock);
	// It was moved, taken back or told of meanwhile; or the two clocks run apart a little.
	if (!u->timer_port || !u->expires || timer_deadline(&u->timer) >= 0)
		return;
	arm(u, u->expires, xenus_now(u->x));
}

void xenus_set_timer_port(struct xenus *x, uint32_t vcpu, uint32_t port, uint64_t expires)
{
	struct xenus_vcpu *u = &x->vcpu[vcpu];

	LOCKED(&x->lock);
	u->timer_port = port;
	timer_disarm(&u->timer);
	uint64_t now = xenus_now(x);
	if (!expires && u->expires > now)
		expires = u->expires; // set before there was a port
	u->expires = port ? expires : 0;
	if (u->expires)
		arm(u, u->expires, now);
}

uint64_t xenus_timer_end(struct xenus *x, uint32_t vcpu)
{
	LOCKED(&x->lock);
	return x->vcpu[vcpu].timer_port ? x->vcpu[vcpu].expires : 0;
}

int64_t xenus_op_vcpu(struct xenus_vcpu *u)
{
	struct xenus *x = u->x;
	uint32_t op = (uint32_t)u->call.params[0];
	struct {
		uint64_t expires;
		uint32_t flags;
	} __attribute__((packed)) shot;

	if (op != VCPUOP_set_singleshot_timer && op != VCPUOP_stop_singleshot_timer)
		return XENUS_PASS;
	// GUEST: only its own timer.
	if ((uint32_t)u->call.params[1] != u->index)
		return (uint32_t)u->call.params[1] < x->count ? -EINVAL : -ENOENT;
	if (op == VCPUOP_set_singleshot_timer &&
	    xenus_fetch(u, u->call.params[2], &shot, sizeof(shot)))
		return -EFAULT;
	LOCKED(&x->lock);
	if (op == VCPUOP_stop_singleshot_timer) {
		x->counters.stop_timer++;
		timer_disarm(&u->timer);
		u->expires = 0;
		return 0;
	}
	x->counters.set_timer++;
	uint64_t now = xenus_now(x);
	if ((shot.flags & VCPU_SSHOTTMR_future) && shot.expires < now)
		return -XEN_ETIME;
	arm(u, shot.expires, now);
	return 0;
}

int64_t xenus_op_set_timer(struct xenus_vcpu *u)
{
	const struct vcpu_hypercall *c = &u->call;
	int64_t expires = (int64_t)(c->longmode ? c->params[0] : c->params[0] | c->params[1] << 32);
	struct xenus *x = u->x;

	LOCKED(&x->lock);
	x->counters.set_timer++;
	if (!expires) {
		timer_disarm(&u->timer);
		u->expires = 0;
		return 0;
	}
	int64_t now = (int64_t)xenus_now(x);
	if (expires < 0 || expires - now > FAR_NS)
		expires = now + SOON_NS;
	arm(u, (uint64_t)expires, (uint64_t)now);
	return 0;
}

// --- polling: KVM halts the vCPU, so that interrupts wake it as they do after HLT

void xenus_stop_polling(struct xenus_vcpu *u)
{
	if (!u->polling)
		return;
	u->polling = false;
	u->x->pollers--;
	timer_disarm(&u->poll_timer);
}

static void end_poll(struct xenus_vcpu *u)
{
	xenus_stop_polling(u);
	atomic_fetch_or(&u->wishes, XENUS_GO_ON);
	vcpu_kick(u->v, VCPU_REQUEST_WAKE);
}

void xenus_poll_timed_out(void *opaque)
{
	struct xenus_vcpu *u = opaque;

	LOCKED(&u->x->lock);
	if (u->polling && timer_deadline(&u->poll_timer) < 0)
		end_poll(u);
}

void xenus_wake_pollers(struct xenus *x, uint32_t port)
{
	for (uint32_t i = 0; i < x->count && x->pollers; i++) {
		struct xenus_vcpu *u = &x->vcpu[i];
		for (uint32_t n = 0; u->polling && n < u->poll_count; n++) {
			if (u->poll_port[n] == port)
				end_poll(u);
		}
	}
}

void xenus_end_polls(struct xenus *x)
{
	LOCKED(&x->lock);
	for (uint32_t i = 0; i < x->count; i++) {
		if (x->vcpu[i].polling)
			end_poll(&x->vcpu[i]);
	}
}

struct poll {
	uint64_t ports, timeout;
	uint32_t count;
};

// GUEST: struct sched_poll, and the array that it points to.
static int64_t fetch_poll(struct xenus_vcpu *u, struct poll *ret, uint32_t *ports)
{
	struct {
		uint64_t ports;
		uint32_t count, pad;
		uint64_t timeout;
	} wide;
	struct {
		uint32_t ports, count;
		uint64_t timeout;
	} narrow;

	if (u->call.longmode) {
		if (xenus_fetch(u, u->call.params[1], &wide, sizeof(wide)))
			return -EFAULT;
		*ret = (struct poll){ wide.ports, wide.timeout, wide.count };
	} else {
		if (xenus_fetch(u, u->call.params[1], &narrow, sizeof(narrow)))
			return -EFAULT;
		*ret = (struct poll){ narrow.ports, narrow.timeout, narrow.count };
	}
	if (ret->count > XENUS_MAX_POLL)
		return -EINVAL;
	if (ret->count && xenus_fetch(u, ret->ports, ports, ret->count * sizeof(ports[0])))
		return -EFAULT;
	for (uint32_t i = 0; i < ret->count; i++) {
		if (ports[i] >= (u->x->bits.wide ? EVTCHN_PORTS64 : EVTCHN_PORTS32))
			return -EINVAL;
	}
	return 0;
}

int64_t xenus_op_poll(struct xenus_vcpu *u)
{
	struct kvm_mp_state halted = { KVM_MP_STATE_HALTED };
	uint32_t ports[XENUS_MAX_POLL];
	struct xenus *x = u->x;
	struct poll poll;
	int64_t err = fetch_poll(u, &poll, ports);

	if (err)
		return err;
	LOCKED(&x->lock);
	x->counters.poll++;
	if (x->bits.page == XENUS_NOWHERE)
		return 0;
	for (uint32_t i = 0; i < poll.count; i++) {
		if (evtchn_look(&x->bits, ports[i]) & 1)
			return 0;
	}
	uint64_t now = poll.timeout ? xenus_now(x) : 0;
	if (poll.timeout && poll.timeout <= now)
		return 0;
	if (ioctl(u->v->fd, KVM_SET_MP_STATE, &halted))
		return 0; // it asks again
	memcpy(u->poll_port, ports, poll.count * sizeof(ports[0]));
	u->poll_count = poll.count;
	u->polling = true;
	x->pollers++;
	if (poll.timeout)
		timer_arm(&u->poll_timer, deadline(x, poll.timeout, now));
	return 0;
}
