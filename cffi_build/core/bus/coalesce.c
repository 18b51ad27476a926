// SPDX-License-Identifier: Apache-2.0
// Zones of coalesced I/O and the timer that drains them for guests that write and never read.
#include <linux/kvm.h>
#include <stdlib.h>

#include "coalesce.h"

// Tells KVM and notes the outcome. Context: group's lock held.
static int tell_kvm(struct coalesce_zone *z, bool on)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = z->addr, .size = z->size, .pio = z->pio };
	unsigned long request = on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO;

	int err = kvmwait_ioctl(z->group->kvm, request, &zone);

	if (err < 0)
		return err;
	atomic_store(&z->on, on);
	count_add(&z->group->switches, 1);
	return 0;
}

// Looks whether a timed zone is still in use, and takes it off when it is not. Returns whether it
// is on. Context: lock held.
static bool keep_zone(struct coalesce_zone *z, int64_t now)
{
	uint64_t writes = atomic_load(&z->writes);

	if (!z->timed || !coalesce_zone_on(z))
		return false;
	if (writes != z->seen) {
		z->seen = writes;
		z->seen_ns = now;
	}
	return now - z->seen_ns < COALESCE_IDLE_NS || tell_kvm(z, false) != 0;
}

static void on_timer(void *opaque)
{
	struct coalesce *g = opaque;
	bool on = false, dropped = false;

	g->drain(g->opaque);
	count_add(&g->drains, 1);
	pthread_mutex_lock(&g->lock);
	int64_t now = vclock_ns(g->clock);
	for (struct coalesce_zone *z = g->zones; z; z = z->next) {
		bool was = z->timed && coalesce_zone_on(z);
		bool is = keep_zone(z, now);
		on |= is;
		dropped |= was && !is;
	}
	g->timer_on = on;
	if (on)
		timer_arm(&g->timer, now + COALESCE_DRAIN_NS);
	pthread_mutex_unlock(&g->lock);
	// What came between the first drain and the withdrawal.
	if (dropped)
		g->drain(g->opaque);
}

struct coalesce *coalesce_create(struct kvmwait *kvm, struct vclock *clock, struct loop *loop,
				 uint32_t (*drain)(void *opaque), void *opaque)
{
	struct coalesce *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->kvm = kvm;
	g->clock = clock;
	g->drain = drain;
	g->opaque = opaque;
	int err = drain ? timer_init(&g->timer, clock, loop, on_timer, g) : 0;
	if (err) {
		free(g);
		errno = -err;
		return NULL;
	}
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void coalesce_destroy(struct coalesce *g)
{
	if (!g)
		return;
	timer_deinit(&g->timer);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

void coalesce_counters(struct coalesce *g, struct coalesce_counters *ret)
{
	LOCKED(&g->lock);
	*ret = (struct coalesce_counters){ .drains = count_get(&g->drains),
					   .switches = count_get(&g->switches) };
	for (struct coalesce_zone *z = g->zones; z; z = z->next)
		ret->on += coalesce_zone_on(z);
}

void coalesce_zone_init(struct coalesce_zone *z, struct coalesce *group, uint64_t addr,
			uint32_t size, bool pio, bool timed)
{
	*z = (struct coalesce_zone){
		.group = group, .addr = addr, .size = size, .pio = pio, .timed = timed
	};
	if (!group)
		return;
	z->timed = timed && group->drain;
	LOCKED(&group->lock);
	z->next = group->zones;
	group->zones = z;
}

void coalesce_zone_deinit(struct coalesce_zone *z)
{
	struct coalesce *g = z->group;

	if (!g)
		return;
	coalesce_zone_set(z, false);
	LOCKED(&g->lock);
	for (struct coalesce_zone **at = &g->zones; *at; at = &(*at)->next) {
		if (*at == z) {
			*at = z->next;
			break;
		}
	}
	z->group = NULL;
}

int coalesce_zone_set(struct coalesce_zone *z, bool on)
{
	struct coalesce *g = z->group;

	if (coalesce_zone_on(z) == on || !g || !g->kvm)
		return 0;
	LOCKED(&g->lock);
	if (coalesce_zone_on(z) == on)
		return 0;
	int err = tell_kvm(z, on);
	if (err || !on || !z->timed)
		return err;
	z->seen = atomic_load(&z->writes);
	z->seen_ns = vclock_ns(g->clock);
	if (!g->timer_on)
		timer_arm(&g->timer, z->seen_ns + COALESCE_DRAIN_NS);
	g->timer_on = true;
	return 0;
}
