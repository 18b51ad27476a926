// SPDX-License-Identifier: Apache-2.0
// Debug exceptions while hardware breakpoints stand where the guest makes its calls. KVM then hands
// over every one of them (KVM_GUESTDBG_USE_HW_BP): those that are no call are the guest's own, by
// single steps or INT1, and go back to it.
#include "xenus_impl.h"

#include <sys/ioctl.h>

#define DEBUG_VECTOR 1
#define INT1 0xf1
#define DR6_BREAKPOINTS 0xfull // which of the registers' addresses was met
#define DR6_STEP (1ull << 14)
#define DR6_ACTIVE_LOW 0xffff0ff0ull
#define DR7_GENERAL_DETECT (1ull << 13)
#define DR7_GLOBAL(n) (2u << 2 * (n))

static bool is_call(const struct xenus_vcpu *u, const struct kvm_debug_exit_arch *d)
{
	// A step that ends at the place comes first; the guest meets the breakpoint after it.
	if (!(d->dr6 & DR6_BREAKPOINTS) || d->dr6 & DR6_STEP)
		return false;
	return d->pc && (d->pc == u->site[0] || d->pc == u->site[1]);
}

static int watch_sites(struct xenus_vcpu *u, uint32_t control)
{
	struct kvm_guest_debug debug = { .control = control };

	if (u->site[0]) {
		debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
		for (uint32_t n = 0; n < 2; n++) {
			debug.arch.debugreg[n] = u->site[n];
			debug.arch.debugreg[7] |= DR7_GLOBAL(n);
		}
	}
	return ioctl(u->v->fd, KVM_SET_GUEST_DEBUG, &debug) ? -errno : 0;
}

// INT1 tells no cause; where that is an intercept of the instruction (VMX), the guest stands before
// it still.
static int pass_int1(struct xenus_vcpu *u, uint64_t pc)
{
	struct kvm_regs regs;
	uint8_t byte;

	// GUEST: its code; no more than whether RIP moves depends on it.
	if (xenus_fetch(u, pc, &byte, sizeof(byte)) || byte != INT1)
		return 0;
	if (ioctl(u->v->fd, KVM_GET_REGS, &regs))
		return -errno;
	regs.rip++;
	return ioctl(u->v->fd, KVM_SET_REGS, &regs) ? -errno : 0;
}

// As the processor reports it (SDM vol. 3, 17.2.3), with none of the breakpoints: none is the
// guest's.
static int give_back(struct xenus_vcpu *u, const struct kvm_debug_exit_arch *d)
{
	uint64_t cause = (d->dr6 ^ DR6_ACTIVE_LOW) & ~DR6_BREAKPOINTS;
	struct kvm_debugregs regs;
	int err = 0;

	if (!cause && !(d->dr6 & DR6_BREAKPOINTS))
		err = pass_int1(u, d->pc);
	if (err)
		return err;
	if (ioctl(u->v->fd, KVM_GET_DEBUGREGS, &regs))
		return -errno;
	regs.dr6 =
		((regs.dr6 & ~DR6_BREAKPOINTS) | DR6_ACTIVE_LOW | cause) ^ (cause & DR6_ACTIVE_LOW);
	regs.dr7 &= ~DR7_GENERAL_DETECT;
	if (ioctl(u->v->fd, KVM_SET_DEBUGREGS, &regs))
		return -errno;
	return watch_sites(u, KVM_GUESTDBG_INJECT_DB);
}

int xenus_set_sites(struct xenus *x, uint32_t vcpu, uint64_t first, uint64_t second)
{
	struct xenus_vcpu *u = &x->vcpu[vcpu];

	u->site[0] = first;
	u->site[1] = second;
	return watch_sites(u, 0);
}

void xenus_share_sites(struct xenus *x, uint32_t vcpu, uint64_t first, uint64_t second)
{
	LOCKED(&x->lock);
	x->site[0] = first;
	x->site[1] = second;
	for (uint32_t i = 0; i < x->count; i++) {
		if (i == vcpu)
			continue;
		atomic_fetch_or(&x->vcpu[i].wishes, XENUS_SITES);
		vcpu_kick(x->vcpu[i].v, VCPU_REQUEST_WAKE);
	}
}

void xenus_take_sites(struct xenus_vcpu *u)
{
	{
		LOCKED(&u->x->lock);
		memcpy(u->site, u->x->site, sizeof(u->site));
	}
	watch_sites(u, 0); // refused: its calls end in KVM, as without breakpoints
}

int xenus_debug(struct vcpu *v, struct vcpu_event *ret)
{
	struct xenus_vcpu *u = xenus_vcpu_of(v);
	const struct kvm_debug_exit_arch *d = &v->run->debug.arch;

	if (is_call(u, d))
		return xenus_hypercall(v, ret);
	xenus_collect(u);
	if (d->exception == DEBUG_VECTOR && !give_back(u, d)) {
		__atomic_fetch_add(&u->x->counters.debug, 1, __ATOMIC_RELAXED);
		return 0;
	}
	*ret = (struct vcpu_event){ .kind = VCPU_DEBUG, .exit_reason = v->run->exit_reason };
	return 1;
}
