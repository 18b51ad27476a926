// SPDX-License-Identifier: Apache-2.0
// Pages in the wrong place, or given back while they are used; timers.
#include "hostile.h"

CASE(shared_info_wild)
{
	static const u64 frames[] = { 0xfee00,	  0xfec00,    RAM_END / 4096, 1ull << 20,
				      1ull << 39, 1ull << 40, 1ull << 51,     1ull << 52,
				      1ull << 63, ~0ull };
	u32 port = bind_ipi(0);

	for (u32 i = 0; i < ARRAY_SIZE(frames); i++) {
		struct {
			u16 domid, size;
			u32 space;
			u64 index, frame;
		} where = { DOMID_SELF, 0, 0, 0, frames[i] };
		CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
		check_equal(evtchn_op(4, &port), 0); /* it still is where it was */
		check(came(1, SLOW_MS) >= 1);
	}
	check_equal(map_shared(PTR(RAM_END - 4096)), 0); /* the last page there is */
	check_equal(evtchn_op(4, &port), 0);
	check(came(1, SLOW_MS) >= 1);
	check_equal(map_shared(pages[0]), 0);
	close_port(port);
}

/* shared_info's page goes back to the host: it is empty then, and a page all the same. */
CASE(gives_back_what_is_used)
{
	static u64 frame;
	struct {
		u64 *list;
		u64 count;
		u32 order, flags;
		u16 domid, pad[3];
	} r = { &frame, 1, 0, 0, DOMID_SELF, {} };
	u32 port = bind_ipi(0);

	check_equal(map_shared(pages[1]), 0);
	frame = (u64)pages[1] / 4096;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 1);
	for (u32 i = 0; i < 3; i++) {
		check_equal(evtchn_op(4, &port), 0);
		check(came(1, SLOW_MS) >= 1);
	}
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 1);
	check_equal(evtchn_op(4, &port), 0);
	check(came(1, SLOW_MS) >= 1);
	check_equal(map_shared(pages[0]), 0);
	memset(shared->mask, 0xff, sizeof(shared->mask));
	close_port(port);
}

struct shot {
	u64 when;
	u32 flags;
};

static u32 bind_timer(void)
{
	u32 bind[3] = { 0, 0, 0 };

	check_equal(evtchn_op(1, bind), 0);
	__atomic_fetch_and(&shared->mask[bind[2] / 64], ~(1ull << bind[2] % 64), __ATOMIC_SEQ_CST);
	return bind[2];
}

CASE(timers_past)
{
	u64 moments[] = { 1, 1000, xen_now() - 1, xen_now() - 1000000 };
	u32 port = bind_timer();
	struct shot shot;

	for (u32 i = 0; i < ARRAY_SIZE(moments); i++) {
		shot = (struct shot){ moments[i], 0 };
		check_equal(hypercall(VCPU_OP, 8, 0, (u64)&shot), 0);
		check_equal(came(1, SLOW_MS), 1);
		check_equal(hypercall(SET_TIMER_OP, moments[i], 0, 0), 0);
		check_equal(came(1, SLOW_MS), 1);
		shot.flags = 1; /* only if it is in the future: KVM does not look at that */
		if (hypercall(VCPU_OP, 8, 0, (u64)&shot) != -ETIME)
			check(!by_hand && came(1, SLOW_MS) == 1);
	}
	check_equal(came(1, 20), 0);
	close_port(port);
}

/* What is too far away to be meant comes soon, from set_timer_op; else it does not come. */
CASE(timers_far)
{
	static const u64 far[] = { ~0ull, 1ull << 63, ~0ull >> 1, 1ull << 60 };
	u64 periods[] = { 0, 1, 999999, 1ull << 62, 1ull << 63, ~0ull };
	u32 port = bind_timer(), i;
	struct shot shot;

	for (i = 0; i < ARRAY_SIZE(far); i++) {
		check_equal(hypercall(SET_TIMER_OP, far[i], 0, 0), 0);
		check_equal(came(1, SLOW_MS), 1);
	}
	for (i = 2; i < ARRAY_SIZE(far); i++) {
		shot = (struct shot){ far[i], 1 };
		check_equal(hypercall(VCPU_OP, 8, 0, (u64)&shot), 0);
		check_equal(came(1, 20), 0);
	}
	check_equal(hypercall(VCPU_OP, 9, 0, 0), 0);
	for (i = 0; i < ARRAY_SIZE(periods); i++)
		CHECK_ERROR(hypercall(VCPU_OP, 6, 0, (u64)&periods[i]), EINVAL);
	close_port(port);
}

CASE(timers_flood)
{
	u32 port = bind_timer();
	struct shot shot = { 1, 0 };
	u64 period;

	irq_on();
	for (u32 i = 0; i < 300; i++) {
		shot.when = i & 1 ? 1 : ~0ull >> 1;
		check_equal(hypercall(VCPU_OP, 8, 0, (u64)&shot), 0);
		period = 1000000 + i;
		check_equal(hypercall(VCPU_OP, 6, 0, (u64)&period), 0);
	}
	irq_off();
	check(came(1, SLOW_MS) >= 1);
	check_equal(hypercall(VCPU_OP, 7, 0, 0), 0);
	check_equal(hypercall(VCPU_OP, 9, 0, 0), 0);
	close_port(port);
	irq_drain();
	came(1, 5);
}

CASE(timers_of_others)
{
	struct shot shot = { 1, 0 };

	for (u32 bound = 0; bound < 2; bound++) {
		u32 port = bound ? bind_timer() : 0;
		CHECK_ERROR(hypercall(VCPU_OP, 8, 1, (u64)&shot), EINVAL);
		CHECK_ERROR(hypercall(VCPU_OP, 9, 1, 0), EINVAL);
		if (port)
			close_port(port);
	}
	check_equal(hypercall(VCPU_OP, 7, 1, 0), 0);
}
