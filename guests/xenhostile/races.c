// SPDX-License-Identifier: Apache-2.0
// Two CPUs at once: one takes things away while the other uses them.
#include "hostile.h"

#define ROUNDS 50

static u8 area[4][4096]
	__attribute__((aligned(4096))); /* 0 and 2: shared_info; 1 and 3: hammered */
static u32 port, stop, sends;

static void fire(void)
{
	u64 *first = (u64 *)area[1], *second = (u64 *)area[3];

	while (!READ_ONCE(stop)) {
		evtchn_op(4, &port);
		atomic_inc(&sends);
		for (u32 i = 0; i < 512; i++) {
			first[i]++;
			second[i]++;
		}
	}
}

static void begin(void (*todo)(void))
{
	memset(area, 0, sizeof(area));
	WRITE_ONCE(stop, 0);
	WRITE_ONCE(sends, 0);
	second_begin(todo);
	check(WAIT_FOR(READ_ONCE(sends) > 2, SLOW_MS));
}

static void end(void)
{
	WRITE_ONCE(stop, 1);
	second_end();
	irq_drain();
	came(1, 5);
}

/* shared_info moves while another CPU sends, and writes into the pages beside it. */
CASE(remap_under_fire)
{
	u32 i;

	port = bind_ipi(0);
	begin(fire);
	for (i = 0; i < ROUNDS; i++) {
		check_equal(map_shared(area[i & 1 ? 0 : 2]), 0);
		check(came(1, SLOW_MS) >= 1);
	}
	end();
	for (i = 0; i < 512; i++) { /* no write was lost */
		check_equal(((u64 *)area[1])[i], ((u64 *)area[1])[0]);
		check_equal(((u64 *)area[3])[i], ((u64 *)area[1])[0]);
	}
	check_equal(map_shared(pages[0]), 0);
	close_port(port);
}

static u32 poll_port, polls;

static void poll_until_stopped(void)
{
	struct {
		u32 *ports;
		u32 count;
		u64 timeout;
	} argument = { &poll_port, 1, 0 };

	while (!READ_ONCE(stop)) {
		atomic_inc(&sends);
		/* KVM counts from the call on, Xen from the domain's beginning. */
		argument.timeout = by_hand ? xen_now() + 1000000 : 1000000;
		check_equal(hypercall(SCHED_OP, 3, (u64)&argument, 0), 0);
		atomic_inc(&polls);
	}
}

CASE(remap_while_polled)
{
	poll_port = bind_ipi(1);
	mask(poll_port);
	begin(poll_until_stopped);
	for (u32 i = 0; i < ROUNDS; i++) {
		check_equal(map_shared(pages[i & 1]), 0);
		if (i % 10 == 9) {
			check_equal(evtchn_op(4, &poll_port), 0);
			delay_us(100);
			__atomic_fetch_and(&shared->pending[poll_port / 64],
					   ~(1ull << poll_port % 64), __ATOMIC_SEQ_CST);
		}
	}
	end();
	check(READ_ONCE(polls) > 2);
	check_equal(map_shared(pages[0]), 0);
	close_port(poll_port);
}

/* All that one CPU may set for another. */
static void set_all(u32 vcpu)
{
	static struct runstate areas[2], told[2];
	u64 address = (u64)&areas[vcpu];

	for (u32 i = 0; i < ROUNDS / 2; i++) {
		use_vector(vcpu, VEC_CPU);
		check_equal(hypercall(VCPU_OP, 5, vcpu, (u64)&address), 0);
		check_equal(hypercall(VCPU_OP, 4, vcpu, (u64)&told[vcpu]), 0);
		check_equal(hypercall(VCPU_OP, 3, vcpu, 0), 1);
		check_equal(hypercall(HVM_OP, 5, 0, 0), 0); /* flush_tlbs */
	}
	address = 0;
	check_equal(hypercall(VCPU_OP, 5, vcpu, (u64)&address), 0);
}

static void set_first(void)
{
	atomic_inc(&sends);
	atomic_inc(&sends);
	atomic_inc(&sends);
	set_all(0);
}

CASE(attributes_at_once)
{
	begin(set_first);
	set_all(1);
	end();
}

CASE(close_under_fire)
{
	u32 argument[2] = { 0, 0 };

	port = bind_ipi(0);
	begin(fire);
	for (u32 i = 0; i < ROUNDS; i++) {
		close_port(port);
		check_equal(evtchn_op(7, argument), 0);
		check_equal(argument[1], port); /* the lowest that is free */
	}
	end();
	close_port(port);
}

static void balloon(u64 first)
{
	static u64 frames[2][64];
	u64 *mine = frames[first & 1], i;
	struct {
		u64 *list;
		u64 count;
		u32 order, flags;
		u16 domid, pad[3];
	} r = { mine, 64, 0, 0, DOMID_SELF, {} };

	for (i = 0; i < 64; i++)
		mine[i] = first + 2 * i;
	for (i = 0; i < ROUNDS / 4; i++) {
		check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 64);
		check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 64);
	}
}

#define BALLOON (40ull << 20 >> 12) /* nobody is there */

static void balloon_odd(void)
{
	atomic_inc(&sends);
	atomic_inc(&sends);
	atomic_inc(&sends);
	balloon(BALLOON + 1);
}

CASE(balloon_under_fire)
{
	begin(balloon_odd);
	balloon(BALLOON);
	end();
}

/* Every port is closed, again and again; the store's too, which is why this comes last. */
CASE(reset_under_fire)
{
	u32 argument[2] = { 0, 0 };
	u16 self = DOMID_SELF;

	port = bind_ipi(0);
	begin(fire);
	for (u32 i = 0; i < ROUNDS / 2; i++) {
		check_equal(evtchn_op(10, &self), 0);
		check_equal(evtchn_op(7, argument), 0);
		WRITE_ONCE(port, argument[1]);
		delay_us(50);
	}
	end();
	check_equal(evtchn_op(10, &self), 0);
}
