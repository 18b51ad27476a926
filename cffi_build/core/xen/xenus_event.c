// SPDX-License-Identifier: Apache-2.0
// Events: pending bits, and telling vCPUs of them. The order of accesses is Xen's
// (xen/common/event_2l.c): pending bit, mask, selector, upcall byte, interrupt.
#include "xenus_impl.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define PATIENCE_MIN 1000000 // ns
#define PATIENCE_MAX 16000000
#define LAPIC_MESSAGES 0xfee00000
#define APIC_ID_BITS 0xffu // of an MSI's address; more go into its upper half

enum { INFO_PENDING = 0, INFO_SELECTOR32 = 4, INFO_SELECTOR64 = 8, INFO_BYTES = 64 };

// vcpu_info, or NULL where there is none.
static uint8_t *info_of(const struct xenus_vcpu *u)
{
	const struct evtchn *bits = &u->x->bits;
	struct gmem_piece piece;

	if (u->info == XENUS_NOWHERE ||
	    gmem_at(bits->memory, bits->dev, u->info, INFO_BYTES, GMEM_WRITE, &piece, 1) != 1)
		return NULL;
	return piece.hva;
}

// Whether KVM gave the vCPU's local APIC its vector. It drops what comes before the guest has
// switched that on, where Xen keeps it.
static bool signal_msi(struct xenus_vcpu *u)
{
	uint32_t id = u->v->id;
	struct kvm_msi msi = { .address_lo = LAPIC_MESSAGES | (id & APIC_ID_BITS) << 12,
			       .address_hi = id & ~APIC_ID_BITS,
			       .data = u->vector };

	return ioctl(u->x->vm->wait.vm_fd, KVM_SIGNAL_MSI, &msi) > 0;
}

static void owe(struct xenus_vcpu *u)
{
	struct xenus *x = u->x;

	if (u->owed)
		return;
	u->owed = true;
	x->owing++;
	if (x->owing == 1)
		x->patience = PATIENCE_MIN;
	timer_arm(&x->retry, vclock_ns(x->clock) + x->patience);
}

// An upcall for the vCPU whose byte has just been set.
void xenus_raise(struct xenus_vcpu *u)
{
	struct xenus *x = u->x;
	uint64_t one = 1;

	if (u->vector) {
		if (signal_msi(u))
			x->counters.upcalls++;
		else
			owe(u);
	} else if (!u->index && x->gsi_fd >= 0 && !x->gsi_up) {
		x->gsi_up = true;
		ssize_t n = write(x->gsi_fd, &one, sizeof(one));
		(void)n; // full: it is up already
		x->counters.asserted++;
	}
}

// Tries again what KVM did not take. Less and less often: a guest may never want it.
void xenus_pay(struct xenus *x)
{
	for (uint32_t i = 0; i < x->count && x->owing; i++) {
		struct xenus_vcpu *u = &x->vcpu[i];
		if (!u->owed)
			continue;
		uint8_t *info = info_of(u);
		if (info && u->vector && __atomic_load_n(info + INFO_PENDING, __ATOMIC_ACQUIRE)) {
			if (!signal_msi(u))
				continue;
			x->counters.late++;
		}
		u->owed = false;
		x->owing--;
	}
	if (!x->owing)
		return;
	x->patience = x->patience < PATIENCE_MAX / 2 ? x->patience * 2 : PATIENCE_MAX;
	timer_arm(&x->retry, vclock_ns(x->clock) + x->patience);
}

// Notes in the vCPU's own words that a port of the selector's bit is pending.
static void tell_vcpu(struct xenus_vcpu *u, uint32_t port)
{
	uint8_t *info = info_of(u);
	bool news;

	if (!info)
		return;
	if (u->x->bits.wide) {
		uint64_t bit = 1ull << port / 64;
		news = !(__atomic_fetch_or((uint64_t *)(void *)(info + INFO_SELECTOR64), bit,
					   __ATOMIC_SEQ_CST) &
			 bit);
	} else {
		uint32_t bit = 1u << port / 32;
		news = !(__atomic_fetch_or((uint32_t *)(void *)(info + INFO_SELECTOR32), bit,
					   __ATOMIC_SEQ_CST) &
			 bit);
	}
	if (news && !__atomic_exchange_n(info + INFO_PENDING, 1, __ATOMIC_SEQ_CST))
		xenus_raise(u);
}

int xenus_make_pending(struct xenus *x, uint32_t port, uint32_t vcpu)
{
	if (x->bits.page == XENUS_NOWHERE || vcpu >= x->count)
		return -EINVAL;
	int before = evtchn_set_pending(&x->bits, port);
	if (before < 0)
		return before;
	if (before & 1)
		return 0;
	if (x->pollers)
		xenus_wake_pollers(x, port);
	if (!(before & 2))
		tell_vcpu(&x->vcpu[vcpu], port);
	return 0;
}

int xenus_send(struct xenus *x, uint32_t port, uint32_t vcpu)
{
	LOCKED(&x->lock);
	return xenus_make_pending(x, port, vcpu);
}

void xenus_tell(struct xenus *x, uint32_t vcpu)
{
	LOCKED(&x->lock);
	uint8_t *info = info_of(&x->vcpu[vcpu]);
	if (info && __atomic_load_n(info + INFO_PENDING, __ATOMIC_ACQUIRE))
		xenus_raise(&x->vcpu[vcpu]);
}

void xenus_gsi_lowered(struct xenus *x)
{
	LOCKED(&x->lock);
	uint8_t *info = info_of(&x->vcpu[0]);
	x->gsi_up = false;
	if (info && __atomic_load_n(info + INFO_PENDING, __ATOMIC_ACQUIRE))
		xenus_raise(&x->vcpu[0]);
}

int64_t xenus_op_send(struct xenus_vcpu *u)
{
	struct xenus *x = u->x;
	uint32_t number;

	if (xenus_fetch(u, u->call.params[1], &number, sizeof(number)))
		return -EFAULT;
	LOCKED(&x->lock);
	// GUEST: the port. Those that nothing was connected to are Python's.
	const struct xenus_port *p = &x->port[number < EVTCHN_PORTS64 ? number : 0];
	if (p->channel)
		xenus_kick(p->channel);
	else if (p->target)
		xenus_make_pending(x, p->target, p->vcpu);
	else
		return XENUS_PASS;
	x->counters.send++;
	return 0;
}

int64_t xenus_op_unmask(struct xenus_vcpu *u)
{
	struct xenus *x = u->x;
	uint32_t number;

	if (xenus_fetch(u, u->call.params[1], &number, sizeof(number)))
		return -EFAULT;
	LOCKED(&x->lock);
	if (number >= EVTCHN_PORTS64 || !x->port[number].open || x->bits.page == XENUS_NOWHERE)
		return XENUS_PASS;
	int pending = evtchn_unmask(&x->bits, number);
	if (pending < 0)
		return XENUS_PASS;
	x->counters.unmask++;
	if (pending)
		xenus_make_pending(x, number, x->port[number].tells);
	return 0;
}

// --- what Python decides

void xenus_set_page(struct xenus *x, uint64_t page)
{
	LOCKED(&x->lock);
	x->bits.page = page;
}

void xenus_set_wide(struct xenus *x, bool wide)
{
	LOCKED(&x->lock);
	x->bits.wide = wide;
}

void xenus_set_info(struct xenus *x, uint32_t vcpu, uint64_t info)
{
	LOCKED(&x->lock);
	x->vcpu[vcpu].info = info;
}

void xenus_set_vector(struct xenus *x, uint32_t vcpu, uint8_t vector)
{
	LOCKED(&x->lock);
	x->vcpu[vcpu].vector = vector;
}

void xenus_open(struct xenus *x, uint32_t port, uint32_t tells)
{
	LOCKED(&x->lock);
	x->port[port].open = true;
	x->port[port].tells = (uint16_t)tells;
}

void xenus_close(struct xenus *x, uint32_t port)
{
	LOCKED(&x->lock);
	x->port[port].open = false;
	x->port[port].target = 0;
}

void xenus_connect(struct xenus *x, uint32_t port, uint32_t target, uint32_t vcpu)
{
	LOCKED(&x->lock);
	x->port[port].target = target;
	x->port[port].vcpu = (uint16_t)vcpu;
}
