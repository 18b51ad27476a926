// SPDX-License-Identifier: Apache-2.0
// Clocks and run states.
#include "../lib/rtc.h"
#include "more.h"

#define MS 1000000ull

/* A record that is being written has an odd version. */
static u64 read_clock(const struct vcpu_time *t, u32 *changes)
{
	u32 version;
	u64 delta, ns;

	do {
		version = __atomic_load_n(&t->version, __ATOMIC_ACQUIRE);
		delta = rdtsc() - t->tsc;
		delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
		ns = t->system_time + (u64)((unsigned __int128)delta * t->mul >> 32);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		*changes += version & 1;
	} while (version & 1 || version != READ_ONCE(t->version));
	return ns;
}

/* Within a second of what the machine's own clock shows. */
void wallclock(void)
{
	u32 changes = 0, version;
	u64 seconds, ns, shown;

	for (u32 i = 0; i < 3; i++) {
		version = READ_ONCE(shared->wc_version);
		check_equal(version & 1, 0);
		seconds = shared->wc_sec | (u64)shared->wc_sec_hi << 32;
		check(shared->wc_nsec < 1000000000);
		ns = shared->wc_nsec + read_clock(&infos[0].time, &changes);
		seconds += ns / 1000000000;
		shown = rtc_seconds();
		check(seconds + 1 >= shown && seconds <= shown + 1);
		check_equal(map_shared(pages[i & 1]), 0); /* written anew */
	}
	check_equal(map_shared(pages[0]), 0);
}

static u64 latest[2];
static u32 odd, backwards, stop;

static void look(u32 cpu)
{
	u64 ns = read_clock(&infos[cpu].time, &odd);

	if (ns < latest[cpu])
		atomic_inc(&backwards);
	latest[cpu] = ns;
}

static void look_on(void)
{
	while (!READ_ONCE(stop))
		look(1);
}

/* While both CPUs leave the guest and come back, their records stay whole, and time goes on. */
void versions_even(void)
{
	WRITE_ONCE(stop, 0);
	second_begin(look_on);
	for (u32 i = 0; i < 2000; i++) {
		look(0);
		if (i % 10 == 0)
			use_vector(1, VEC_CPU); /* the other CPU leaves the guest, too */
	}
	WRITE_ONCE(stop, 1);
	second_end();
	check_equal(odd, 0); /* no CPU runs while its own record is written */
	check_equal(backwards, 0);
	check_equal(infos[0].time.version & 1, 0);
	check_equal(infos[1].time.version & 1, 0);
}

void clocks_agree(void)
{
	u32 changes = 0;
	u64 before, told, after;

	for (u32 i = 0; i < 20; i++) {
		before = read_clock(&infos[0].time, &changes);
		told = xen_now();
		after = read_clock(&infos[0].time, &changes);
		check(before <= told + MS && told <= after + MS);
	}
}

static u32 spins;

static void spin(void)
{
	while (!READ_ONCE(stop))
		atomic_inc(&spins);
}

static u64 sum(const struct runstate *r)
{
	return r->time[0] + r->time[1] + r->time[2] + r->time[3];
}

/* What a CPU is told of: up to now, the state that it is in included. */
static void told(u32 vcpu, struct runstate *r)
{
	u64 before = xen_now(), after;

	check_equal(hypercall(VCPU_OP, 4, vcpu, (u64)r), 0);
	after = xen_now();
	check(r->entry <= after);
	check(sum(r) + MS >= before && sum(r) <= after + MS);
}

/* Time in which a CPU stands still by the guest's wish is told as such. */
void stood_still(void)
{
	static struct runstate before, after;

	WRITE_ONCE(stop, 0);
	second_begin(spin);
	check(WAIT_FOR(READ_ONCE(spins), SLOW_MS));
	check_equal(hypercall(VCPU_OP, 2, 1, 0), 0);
	told(1, &before);
	delay_us(100000);
	told(1, &after);
	check_equal(hypercall(VCPU_OP, 1, 1, 0), 0);
	WRITE_ONCE(stop, 1);
	second_end();
	/* without KVM's help: by the host's scheduler, which calls it asleep */
	check(after.time[2] + after.time[3] >= before.time[2] + before.time[3] + 50 * MS);
}

/* Sleeping is blocked, working is running or waiting for a processor. */
void waited(void)
{
	static struct runstate first, second, third;
	u32 bind[3] = { 0, 0, 0 };
	u64 end;

	check_equal(evtchn_op(1, bind), 0);
	unmask(bind[2]);
	told(0, &first);
	check_equal(hypercall(SET_TIMER_OP, xen_now() + 100 * MS, 0, 0), 0);
	while (!READ_ONCE(upcalls)) {
		irq_on_halt();
		irq_off();
	}
	check_equal(came(1, 0), 1);
	told(0, &second);
	end = xen_now() + 100 * MS;
	while (xen_now() < end)
		;
	told(0, &third);
	if (by_hand) /* KVM takes a halt for work */
		check(second.time[2] >= first.time[2] + 50 * MS);
	check(third.time[0] + third.time[1] >= second.time[0] + second.time[1] + 50 * MS);
	close_port(bind[2]);
}

/* A bit in the entry time tells that the area is being written: never to the CPU it is about. */
void runstate_flag(void)
{
	static u8 ground[2 * 4096] __attribute__((aligned(4096)));
	u8 *at = ground + 4096 - 12; /* the entry time in two pages */
	struct runstate here;
	u64 address = (u64)at;

	check_equal(hypercall(21, 0, 5, 0), 0); /* vm_assist */
	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&address), 0);
	for (u32 i = 0; i < 50; i++) {
		hypercall(SCHED_OP, 0, 0, 0);
		memcpy(&here, at, sizeof(here));
		check_equal(here.entry >> 63, 0);
		check_equal(sum(&here), here.entry);
	}
	check_equal(hypercall(21, 1, 5, 0), 0);
	address = 0;
	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&address), 0);
}
