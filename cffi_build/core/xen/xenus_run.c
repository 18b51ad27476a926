// SPDX-License-Identifier: Apache-2.0
// Run states: how long a vCPU ran, waited for a processor and slept, by the host scheduler's own
// account of its thread (/proc/.../schedstat), written where the guest wants it.
//
// KVM would give the same wait as steal time (MSR_KVM_STEAL_TIME), but into the guest's memory.
#include "xenus_impl.h"

#include <stdlib.h>
#include <unistd.h>

#define RUNSTATE_EVERY 10000000 // ns
#define RUNSTATE_UPDATE (1ull << 63)

enum { RUNNING, RUNNABLE, BLOCKED, OFFLINE, STATES };

static bool read_schedstat(const struct xenus_vcpu *u, uint64_t *ran, uint64_t *waited)
{
	char text[96], *end;
	ssize_t n = u->sched_fd < 0 ? -1 : pread(u->sched_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = 0;
	*ran = strtoull(text, &end, 10);
	*waited = strtoull(end, NULL, 10);
	return true;
}

// The state is always "running" when the vCPU itself looks.
static bool look(struct xenus_vcpu *u, uint64_t now, uint64_t times[STATES])
{
	uint64_t ran, waited;

	if (!read_schedstat(u, &ran, &waited))
		return false;
	uint64_t busy = ran + waited < now ? ran + waited : now;
	if (!u->based) {
		u->based = true;
		u->offline = u->index ? now - busy : 0;
	}
	times[RUNNABLE] = waited < busy ? waited : busy;
	times[RUNNING] = busy - times[RUNNABLE];
	times[OFFLINE] = u->offline < now - busy ? u->offline : now - busy;
	times[BLOCKED] = now - busy - times[OFFLINE];
	return true;
}

static void put(struct xenus_vcpu *u, uint64_t gpa, const void *from, uint64_t length)
{
	gmem_write(u->x->bits.memory, u->x->bits.dev, gpa, from, length);
}

// struct vcpu_runstate_info; its entry time carries a flag while the rest is being written, if the
// guest has asked for that.
static void write_area(struct xenus_vcpu *u, uint64_t now, const uint64_t times[STATES])
{
	bool wide = u->x->bits.wide;
	uint64_t entry = u->runstate + (wide ? 8 : 4), busy = now | RUNSTATE_UPDATE;
	bool flagged = atomic_load(&u->x->update_flag);
	uint32_t state = RUNNING;

	if (flagged)
		put(u, entry, &busy, sizeof(busy));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	put(u, u->runstate, &state, sizeof(state));
	put(u, entry + 8, times, STATES * sizeof(times[0]));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	put(u, entry, &now, sizeof(now));
}

void xenus_note_runstate(struct xenus_vcpu *u)
{
	uint64_t times[STATES];

	if (likely(u->runstate == XENUS_NOWHERE))
		return;
	int64_t here = vclock_ns(u->x->clock);
	if (here < u->next_note)
		return;
	u->next_note = here + RUNSTATE_EVERY;
	uint64_t now = xenus_now(u->x);
	if (look(u, now, times))
		write_area(u, now, times);
}

void xenus_set_update_flag(struct xenus *x, bool on)
{
	atomic_store(&x->update_flag, on);
}

void xenus_set_runstate(struct xenus *x, uint32_t vcpu, uint64_t gpa)
{
	struct xenus_vcpu *u = &x->vcpu[vcpu];

	u->runstate = gpa;
	u->next_note = 0;
	xenus_note_runstate(u);
}

void xenus_set_schedstat(struct xenus *x, uint32_t vcpu, int fd)
{
	struct xenus_vcpu *u = &x->vcpu[vcpu];

	if (u->sched_fd >= 0)
		close(u->sched_fd);
	u->sched_fd = fd;
}

int xenus_runstate(struct xenus *x, uint32_t vcpu, struct xenus_runstate *ret)
{
	ret->now = xenus_now(x);
	return look(&x->vcpu[vcpu], ret->now, ret->times) ? 0 : -ENODATA;
}
