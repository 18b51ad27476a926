// SPDX-License-Identifier: Apache-2.0
// Which bits an event sets and in which order they are found, who is told of it, and polls.
#include "more.h"

#define MANY 600

void unmask(u32 port)
{
	check_equal(evtchn_op(9, &port), 0);
}

static void forget(void)
{
	infos[0].pending = 0;
	infos[0].selector = 0;
	memset(shared->pending, 0, sizeof(shared->pending));
}

/* A bit of the selector for each 64 ports, a bit for each port, and one upcall for them all. */
void order(void)
{
	static u32 ports[MANY];
	u32 i, found = 0;
	u64 want = 0;

	for (i = 0; i < MANY; i++)
		ports[i] = bind_ipi(0);
	forget();
	for (i = MANY; i;) { /* the highest first */
		i -= i > 77 ? 77 : i;
		check_equal(evtchn_op(4, &ports[i]), 0);
		check_equal(evtchn_op(4, &ports[i]), 0);
		want |= 1ull << ports[i] / 64;
	}
	check_equal(infos[0].pending, 1);
	check_equal(infos[0].selector, want);
	/* as a kernel looks: the lowest word, the lowest bit */
	for (u32 last = 0; infos[0].selector;) {
		u32 word = (u32)__builtin_ctzll(infos[0].selector);
		while (shared->pending[word]) {
			u32 port = word * 64 + (u32)__builtin_ctzll(shared->pending[word]);
			check(port > last);
			last = port;
			found++;
			shared->pending[word] &= shared->pending[word] - 1;
		}
		infos[0].selector &= infos[0].selector - 1;
	}
	check_equal(found, MANY / 77 + 1);
	forget();
	check_equal(came(1, SLOW_MS), 1);
	for (i = 0; i < MANY; i++)
		close_port(ports[i]);
}

/* Two ports of one word, one of them masked: it neither tells nor is lost. */
void half_masked(void)
{
	u32 first = bind_ipi(0), second = bind_ipi(0);

	mask(first);
	check_equal(evtchn_op(4, &first), 0);
	check_equal(infos[0].pending, 0);
	check_equal(infos[0].selector, 0);
	check_equal(evtchn_op(4, &second), 0);
	check_equal(came(1, SLOW_MS), 1);
	check(set(shared->pending, first));
	check(!set(shared->pending, second));
	unmask(second); /* of no concern to the other */
	check_equal(came(1, 20), 0);
	unmask(first);
	check_equal(came(1, SLOW_MS), 1);
	check(!set(shared->pending, first));
	close_port(first);
	close_port(second);
}

static void take_some(void)
{
	irq_on();
	WAIT_FOR(READ_ONCE(others) >= 3, 3 * SLOW_MS);
	irq_off();
}

/* An end of a channel moves to the other CPU, with what waits there. */
void moved_to_other(void)
{
	struct {
		u16 dom, pad;
		u32 remote, local;
	} bind = { DOMID_SELF, 0, 0, 0 };
	u32 unbound[2] = { DOMID_SELF | (u32)DOMID_SELF << 16, 0 }, move[2];

	check_equal(evtchn_op(6, unbound), 0);
	bind.remote = unbound[1];
	mask(unbound[1] + 1);
	check_equal(evtchn_op(0, &bind), 0);
	unmask(bind.local);
	check_equal(came(1, SLOW_MS), 1);
	WRITE_ONCE(others, 0);
	second_begin(take_some);
	move[0] = bind.local;
	move[1] = 1;
	check_equal(evtchn_op(8, move), 0);
	for (u32 i = 1; i <= 3; i++) {
		check_equal(evtchn_op(4, &unbound[1]), 0);
		check(WAIT_FOR(READ_ONCE(others) >= i, SLOW_MS));
	}
	second_end();
	check_equal(came(1, 20), 0);
	move[1] = 0; /* and back */
	check_equal(evtchn_op(8, move), 0);
	check_equal(evtchn_op(4, &unbound[1]), 0);
	check_equal(came(1, SLOW_MS), 1);
	close_port(bind.local);
	close_port(unbound[1]);
}

#define VEC_NEXT 0x73
static u32 on_next;

static void on_next_vector(struct frame *f)
{
	on_upcall(f);
	atomic_inc(&on_next);
}

void vector_changes(void)
{
	u32 port = bind_ipi(0);

	trap_set(VEC_NEXT, on_next_vector);
	use_vector(0, VEC_NEXT);
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(on_next, 1);
	use_vector(0, VEC_CPU);
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(on_next, 1);
	close_port(port);
}

/* Memory appears elsewhere, as for a grant table: what KVM knew of shared_info is looked up anew.
 */
void slots_change(void)
{
	struct {
		u16 domid, size;
		u32 space;
		u64 index, frame;
	} where = { DOMID_SELF, 0, 1, 0, 0 };
	u32 port = bind_ipi(0);

	for (u32 i = 0; i < 4; i++) {
		where.frame = 0xf0000 + (i << 9);
		check_equal(hypercall(MEMORY_OP, 7, (u64)&where, 0), 0);
		check_equal(evtchn_op(4, &port), 0);
		check_equal(came(1, SLOW_MS), 1);
	}
	close_port(port);
}

struct poll {
	u32 *ports;
	u32 count;
	u64 timeout;
};

static u64 soon(u64 ns)
{
	return by_hand ? xen_now() + ns : ns; /* KVM counts from the call on */
}

void poll_ends(void)
{
	u32 port = bind_ipi(0);
	struct poll poll = { &port, 1, soon(20000000) };
	u64 before = xen_now(), after;

	mask(port);
	check_equal(hypercall(SCHED_OP, 3, (u64)&poll, 0), 0); /* nothing comes */
	after = xen_now();
	check(after >= before + 10000000); /* less a tick of the host's */
	check_equal(evtchn_op(4, &port), 0);
	poll.timeout = 0;
	check_equal(hypercall(SCHED_OP, 3, (u64)&poll, 0), 0); /* there is something */
	close_port(port);
}

static u32 polled[3], polls, rounds, stop;

static void poll_many(void)
{
	struct poll poll = { polled, 3, 0 };

	while (!READ_ONCE(stop)) {
		check_equal(hypercall(SCHED_OP, 3, (u64)&poll, 0), 0);
		for (u32 i = 0; i < 3; i++) {
			if (!set(shared->pending, polled[i]))
				continue;
			__atomic_fetch_and(&shared->pending[polled[i] / 64],
					   ~(1ull << polled[i] % 64), __ATOMIC_SEQ_CST);
			atomic_inc(&polls);
		}
		atomic_inc(&rounds);
	}
}

/* The same with interrupts let in: the upcall takes the event, and the poll is over. */
static void poll_and_take(void)
{
	struct poll poll = { polled, 3, 0 };

	irq_on();
	while (!READ_ONCE(stop)) {
		check_equal(hypercall(SCHED_OP, 3, (u64)&poll, 0), 0);
		atomic_inc(&rounds);
		WRITE_ONCE(polls, READ_ONCE(others));
	}
	irq_off();
}

/* The second CPU sleeps in a poll; each event wakes it, whichever of the ports it is. */
static void wake(void (*sleeper)(void), bool masked)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		polled[i] = bind_ipi(1);
		if (masked)
			mask(polled[i]);
	}
	others = polls = rounds = 0;
	WRITE_ONCE(stop, 0);
	second_begin(sleeper);
	for (i = 1; i <= 12; i++) {
		delay_us(500);
		check_equal(evtchn_op(4, &polled[i % 3]), 0);
		check(WAIT_FOR(READ_ONCE(polls) >= i, SLOW_MS));
	}
	WRITE_ONCE(stop, 1);
	check_equal(evtchn_op(4, &polled[0]), 0);
	second_end();
	check(rounds < 100000); /* asleep, not spinning */
	for (i = 0; i < 3; i++)
		close_port(polled[i]);
}

void poll_woken_masked(void)
{
	wake(poll_many, true);
}

void poll_woken_unmasked(void)
{
	wake(poll_and_take, false);
}

/* The last of as many ports as there may be. */
void poll_several(void)
{
	static u32 ports[128];
	struct poll poll = { ports, 128, 0 };
	u32 i;

	for (i = 0; i < 128; i++) {
		ports[i] = bind_ipi(0);
		mask(ports[i]);
	}
	check_equal(evtchn_op(4, &ports[127]), 0);
	check_equal(hypercall(SCHED_OP, 3, (u64)&poll, 0), 0);
	check(set(shared->pending, ports[127]));
	for (i = 0; i < 128; i++)
		close_port(ports[i]);
}
