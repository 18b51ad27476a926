// SPDX-License-Identifier: Apache-2.0
// Coalesced I/O zones: guest writes to them are queued by KVM in a ring and cost no exit to user
// space (KVM_CAP_COALESCED_MMIO, KVM_CAP_COALESCED_PIO).
//
// Whoever handles an exit drains the ring first, so the guest sees its writes done before anything
// it reads. A guest that only writes makes no exit: while a timed zone is on, a timer drains the
// ring every COALESCE_DRAIN_NS. A zone that saw no write for COALESCE_IDLE_NS is taken off, so that
// an idle guest wakes nobody; its device puts it on again at the next write, which is a plain exit.
#ifndef VMM_COALESCE_H
#define VMM_COALESCE_H

#include "base.h"
#include "kvmwait.h"
#include "timer.h"

#define COALESCE_DRAIN_NS 50000000
#define COALESCE_IDLE_NS 400000000

struct coalesce_zone;

struct coalesce_counters {
	uint64_t drains; // runs of the timer
	uint64_t switches; // registrations and withdrawals
	uint64_t on; // zones that are on now
};

// One per VM: the zones share one ring.
struct coalesce {
	pthread_mutex_t lock; // guards zones and timer_on; a leaf, held over the ioctl
	struct kvmwait *kvm; // NULL: no VM, or KVM cannot
	// Hands the queued writes to their devices and returns how many there were; called on the
	// loop's thread (manual clock: in vclock_step()) with no lock held. NULL: the zones are
	// untimed.
	uint32_t (*drain)(void *opaque);
	void *opaque;
	struct vclock *clock;
	struct timer timer;
	bool timer_on;
	struct coalesce_zone *zones;
	_Atomic uint64_t drains, switches; // timer runs; registrations and their withdrawals
};

struct coalesce_zone {
	struct coalesce *group; // NULL: never on
	uint64_t addr;
	uint32_t size;
	bool pio;
	bool timed; // drained by the timer and taken off when idle
	_Atomic bool on;
	_Atomic uint64_t writes; // counted by the device, for telling idleness
	uint64_t seen; // writes at the last look that found new ones
	int64_t seen_ns; // ... and when that was
	struct coalesce_zone *next;
};

// kvm NULL (no VM, or KVM cannot): no zone ever goes on. NULL with errno set.
struct coalesce *coalesce_create(struct kvmwait *kvm, struct vclock *clock, struct loop *loop,
				 uint32_t (*drain)(void *opaque), void *opaque);
// Every zone has been deinitialized.
void coalesce_destroy(struct coalesce *g);

void coalesce_counters(struct coalesce *g, struct coalesce_counters *ret);

void coalesce_zone_init(struct coalesce_zone *z, struct coalesce *group, uint64_t addr,
			uint32_t size, bool pio, bool timed);
// Off, and forgotten by the group.
void coalesce_zone_deinit(struct coalesce_zone *z);
// Registers or withdraws the zone; nothing happens when it is that way already. Callable with the
// device's lock held. 0 or -errno (-ENOSPC, -EEXIST: KVM's; the guest then exits as without it).
// Writes queued before a withdrawal stay in the ring for the next drain.
int coalesce_zone_set(struct coalesce_zone *z, bool on);

static inline bool coalesce_zone_on(struct coalesce_zone *z)
{
	return atomic_load_explicit(&z->on, memory_order_relaxed);
}

// The device saw `count` writes to the zone, by exit or from the ring. Context: the device's lock.
static inline void coalesce_zone_hit(struct coalesce_zone *z, uint32_t count)
{
	uint64_t n = atomic_load_explicit(&z->writes, memory_order_relaxed);

	atomic_store_explicit(&z->writes, n + count, memory_order_relaxed);
}

#endif
