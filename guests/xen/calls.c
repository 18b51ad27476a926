// SPDX-License-Identifier: Apache-2.0
// Hypercalls that the others do not need: lists of calls, switches, timers.
#include "xen.h"

#define MULTICALL 13
#define CONSOLE_IO 18
#define VM_ASSIST 21

struct entry {
	u64 op, result, args[6];
};

static struct entry list[200];

void multicall(void)
{
	u32 i, port = bind_ipi(0);

	for (i = 0; i < 200; i++)
		list[i] = (struct entry){ XEN_VERSION, 77, { 7 } };
	list[1] = (struct entry){ XEN_VERSION, 77, { 3, NOWHERE } };
	list[2] = (struct entry){ 63, 77, {} };
	list[3] = (struct entry){ MULTICALL, 77, { (u64)list, 1 } };
	list[4] = (struct entry){ EVENT_CHANNEL_OP, 77, { 9, (u64)&port } };
	check_equal(hypercall(MULTICALL, (u64)list, 200, 0), 0);
	CHECK_ERROR(list[1].result, EFAULT);
	CHECK_ERROR(list[2].result, ENOSYS);
	CHECK_ERROR(list[3].result, EINVAL);
	check_equal(list[4].result, 0);
	for (i = 5; i < 200; i++)
		check_equal(list[i].result, 4096);
	check_equal(hypercall(MULTICALL, (u64)list, 0, 0), 0);
	CHECK_ERROR(hypercall(MULTICALL, NOWHERE, 1, 0), EFAULT);
	CHECK_ERROR(hypercall(MULTICALL, ~0ull - 4096, 0xffffffff, 0), EFAULT); /* it ends */
	close_port(port);
}

/* Aligned, within a page of RAM; all ones for none. */
static void areas_by_physical_address(void)
{
	static struct runstate area __attribute__((aligned(64)));
	static struct vcpu_time time __attribute__((aligned(64)));
	u64 place = (u64)&area;

	check_equal(hypercall(VCPU_OP, 14, 0, (u64)&place), 0);
	check_equal(READ_ONCE(area.state), 0);
	check(READ_ONCE(area.time[0]));
	for (u64 n = 1; n < 8; n++) {
		place = (u64)&area + n;
		CHECK_ERROR(hypercall(VCPU_OP, 14, 0, (u64)&place), ENXIO);
	}
	place = (u64)pages[1] - 8;
	CHECK_ERROR(hypercall(VCPU_OP, 14, 0, (u64)&place), ENXIO);
	place = 1ull << 45;
	CHECK_ERROR(hypercall(VCPU_OP, 14, 0, (u64)&place), EINVAL);
	CHECK_ERROR(hypercall(VCPU_OP, 14, 0, NOWHERE), EFAULT);
	CHECK_ERROR(hypercall(VCPU_OP, 14, 77, (u64)&place), ENOENT);
	place = ~0ull;
	check_equal(hypercall(VCPU_OP, 14, 0, (u64)&place), 0);

	place = (u64)&time;
	if (by_hand) { /* it has one clock for each vCPU, and says so by its features */
		CHECK_ERROR(hypercall(VCPU_OP, 15, 0, (u64)&place), ENOSYS);
		return;
	}
	check_equal(hypercall(VCPU_OP, 15, 0, (u64)&place), 0);
	check(WAIT_FOR(READ_ONCE(time.mul), 1000));
	place = ~0ull;
	check_equal(hypercall(VCPU_OP, 15, 0, (u64)&place), 0);
}

void switches(void)
{
	static const char text[] = "hello from the guest\nand again\n";
	static struct runstate area;
	void *pointer = &area;
	u64 flush = 0, physical = (u64)&area;

	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&pointer), 0);
	check_equal(READ_ONCE(area.entry) >> 63, 0);
	check_equal(hypercall(VM_ASSIST, 0, 5, 0), 0);
	check_equal(hypercall(VM_ASSIST, 1, 5, 0), 0);
	CHECK_ERROR(hypercall(VM_ASSIST, 2, 5, 0), ENOSYS);
	CHECK_ERROR(hypercall(VM_ASSIST, 0, 4, 0), EINVAL);
	CHECK_ERROR(hypercall(VM_ASSIST, 0, ~0u, 0), EINVAL);
	pointer = NULL;
	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&pointer), 0);
	if (arg_lists("version", "4.18"))
		areas_by_physical_address();
	else
		CHECK_ERROR(hypercall(VCPU_OP, 14, 0, (u64)&physical), ENOSYS);

	check_equal(hypercall(CONSOLE_IO, 0, sizeof(text) - 1, (u64)text), 0);
	CHECK_ERROR(hypercall(CONSOLE_IO, 0, 1, NOWHERE), EFAULT);
	check_equal(hypercall(CONSOLE_IO, 0, 0, NOWHERE), 0);
	CHECK_ERROR(hypercall(CONSOLE_IO, 1, 1, (u64)pages[2]), EPERM);
	check_equal(hypercall(HVM_OP, 5, 0, 0), 0); /* flush_tlbs */
	CHECK_ERROR(hypercall(HVM_OP, 5, (u64)&flush, 0), EINVAL);
	check_equal(hypercall(HVM_OP, 24, 0, 0), 0);
	CHECK_ERROR(hypercall(HVM_OP, 24, 1, 0), EINVAL);
}

void denied(void)
{
	struct {
		u32 command, version;
	} control = { 1, 1 };
	struct {
		u16 domid, pad;
		u32 reason;
	} remote = { DOMID_SELF, 0, 0 };

	CHECK_ERROR(hypercall(35, (u64)&control, 0, 0), EACCES);
	CHECK_ERROR(hypercall(36, (u64)&control, 0, 0), EACCES);
	CHECK_ERROR(hypercall(7, (u64)&control, 0, 0), EACCES);
	control.version = 0x15;
	CHECK_ERROR(hypercall(36, (u64)&control, 0, 0), EPERM);
	CHECK_ERROR(hypercall(36, NOWHERE, 0, 0), EFAULT);
	CHECK_ERROR(hypercall(37, 0, 0, 0), EPERM);
	CHECK_ERROR(hypercall(40, 0, 0, 0), EOPNOTSUPP);
	CHECK_ERROR(hypercall(41, DOMID_SELF, 0, 0), EPERM);
	CHECK_ERROR(hypercall(41, 99, 0, 0), ESRCH);
	CHECK_ERROR(hypercall(SCHED_OP, 4, (u64)&remote, 0), EPERM);
	remote.domid = 99;
	CHECK_ERROR(hypercall(SCHED_OP, 4, (u64)&remote, 0), ESRCH);
	CHECK_ERROR(hypercall(SCHED_OP, 7, (u64)&remote, 0), EPERM);
}

/* Set before anybody hears of it, periodic, and by the older call. */
void timers(void)
{
	u32 bind[3] = { 0, 0, 0 };
	u64 now, period = 2000000, tiny = 999999;
	struct {
		u64 when;
		u32 flags;
	} shot = { 1, 1 };

	CHECK_ERROR(hypercall(VCPU_OP, 8, 0, (u64)&shot), ETIME); /* in the future, it said */
	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	check_equal(hypercall(SET_TIMER_OP, now + 30000000, 0, 0), 0);
	check_equal(evtchn_op(1, bind), 0);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(hypercall(SET_TIMER_OP, 1, 0, 0), 0);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(hypercall(SET_TIMER_OP, 0, 0, 0), 0);
	CHECK_ERROR(hypercall(VCPU_OP, 6, 0, (u64)&tiny), EINVAL);
	CHECK_ERROR(hypercall(VCPU_OP, 6, 0, NOWHERE), EFAULT);
	check_equal(hypercall(VCPU_OP, 6, 0, (u64)&period), 0);
	check(came(3, SLOW_MS) >= 3);
	check_equal(hypercall(VCPU_OP, 7, 0, 0), 0);
	period = ~0ull;
	CHECK_ERROR(hypercall(VCPU_OP, 6, 0, (u64)&period), EINVAL);
	close_port(bind[2]);
	irq_drain();
	came(1, 5);
}

/* Asleep until an event comes. */
void blocked(void)
{
	u32 bind[3] = { 0, 0, 0 };
	u64 now, after;

	check_equal(evtchn_op(1, bind), 0);
	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	check_equal(hypercall(SET_TIMER_OP, now + 20000000, 0, 0), 0);
	irq_on();
	check_equal(hypercall(SCHED_OP, 1, 0, 0), 0);
	irq_off();
	check_equal(hypercall(HVM_OP, 10, (u64)&after, 0), 0);
	check(after >= now + 20000000);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(hypercall(SCHED_OP, 1, 0, 0), 0); /* nothing could wake it */
	close_port(bind[2]);
}

void watchdog(void)
{
	struct {
		u32 id, seconds;
	} dog = { 0, 1000 };

	check_equal(hypercall(SCHED_OP, 6, (u64)&dog, 0), 1);
	check_equal(hypercall(SCHED_OP, 6, (u64)&dog, 0), 2);
	CHECK_ERROR(hypercall(SCHED_OP, 6, (u64)&dog, 0), ENOSPC);
	dog.id = 3;
	CHECK_ERROR(hypercall(SCHED_OP, 6, (u64)&dog, 0), EINVAL);
	dog.id = 2;
	dog.seconds = 0;
	check_equal(hypercall(SCHED_OP, 6, (u64)&dog, 0), 0);
	CHECK_ERROR(hypercall(SCHED_OP, 6, (u64)&dog, 0), EINVAL);
	dog.id = 1;
	check_equal(hypercall(SCHED_OP, 6, (u64)&dog, 0), 0);
	CHECK_ERROR(hypercall(SCHED_OP, 6, NOWHERE, 0), EFAULT);
}
