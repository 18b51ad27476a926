// SPDX-License-Identifier: Apache-2.0
// A Xen HVM domain as a guest sees it: CPUID, hypercalls, shared pages and clocks.
#include "xen.h"

static void leaves(void)
{
	by_hand = arg_lists("backend", "userspace");
	struct cpuid base = cpuid(XEN_BASE, 0);

	check_equal(base.ebx, 0x566e6558); /* XenV */
	check_equal(base.ecx, 0x65584d4d); /* MMXe */
	check_equal(base.edx, 0x4d4d566e); /* nVMM */
	check_equal(base.eax, XEN_BASE + 4);
	check_equal(cpuid(XEN_BASE + 1, 0).eax, 4 << 16 | (arg_lists("version", "4.18") ? 18 : 17));
	check_equal(cpuid(XEN_BASE + 2, 0).eax, 1);
	check_equal(cpuid(XEN_BASE + 2, 0).ebx, XEN_MSR);
	check_equal(cpuid(XEN_BASE + 4, 0).eax & 0x48, 0x48); /* vCPU id, upcall vector */
	check_equal(cpuid(XEN_BASE + 4, 0).ebx, 0);
	check(cpuid(0x40000100, 0).ebx != 0x4b4d564b); /* no KVM beside it */
}

static void version(void)
{
	static char text[1024];
	bool newer = arg_lists("version", "4.18");
	u32 features[2] = { 0, 0 }, areas = by_hand ? 1 << 18 : 3 << 18;

	check_equal(hypercall(XEN_VERSION, 0, 0, 0), 4 << 16 | (newer ? 18 : 17));
	check_equal(hypercall(XEN_VERSION, 1, (u64)text, 0), 0);
	check_equal(text[0], '-');
	check_equal(hypercall(XEN_VERSION, 2, (u64)text, 0), 0);
	check_equal(hypercall(XEN_VERSION, 3, (u64)text, 0), 0);
	check(text[0] == 'h' && text[1] == 'v' && text[2] == 'm');
	check_equal(hypercall(XEN_VERSION, 4, (u64)text, 0), 0);
	check_equal(hypercall(XEN_VERSION, 5, (u64)text, 0), 0);
	check_equal(hypercall(XEN_VERSION, 6, (u64)features, 0), 0);
	check_equal(features[1], 0x307 | (newer ? areas : 0)); /* no more than it keeps */
	features[0] = 1;
	CHECK_ERROR(hypercall(XEN_VERSION, 6, (u64)features, 0), EINVAL);
	check_equal(hypercall(XEN_VERSION, 7, 0, 0), 4096);
	check_equal(hypercall(XEN_VERSION, 8, (u64)text, 0), 0);
	check_equal(hypercall(XEN_VERSION, 9, (u64)text, 0), 0);
	check(text[0] == '<' && text[1] == 'd');
	CHECK_ERROR(hypercall(XEN_VERSION, 10, (u64)text, 0), EPERM);
	CHECK_ERROR(hypercall(XEN_VERSION, 11, (u64)text, 0), ENOSYS);
	CHECK_ERROR(hypercall(XEN_VERSION, 3, NOWHERE, 0), EFAULT);
}

/* The page that the MSR fills: entry n calls number n. */
static void hypercall_page(void)
{
	long result, (*version_entry)(u64, u64) = (void *)(pages[3] + XEN_VERSION * 32);

	wrmsr(XEN_MSR, (u64)pages[3]);
	result = version_entry(7, 0);
	check_equal(result, 4096);
}

static void shared_info(void)
{
	struct vcpu_time *time;
	u64 before;

	pages[0][0x123] = 0xaa;
	check_equal(map_shared(pages[0]), 0);
	check_equal(shared->mask[63], ~0ull); /* every port is masked at first */
	check_equal(pages[0][0x123], 0); /* it is Xen's page now */
	check_equal(shared->mask[63], ~0ull); /* every port is masked at first */
	check(shared->wc_sec > 1600000000 || shared->wc_sec_hi);
	time = &shared->vcpu[0].time;
	if (by_hand)
		check(READ_ONCE(time->mul)); /* from the first moment on */
	check(WAIT_FOR(READ_ONCE(time->mul), 1000)); /* its own clock, with nothing registered */
	check_equal(time->version & 1, 0);
	before = READ_ONCE(time->system_time);
	check(before != 0);
}

static void vcpu_info(void)
{
	struct {
		u64 frame;
		u32 offset, reserved;
	} where = { (u64)&infos[0] / 4096, (u64)&infos[0] % 4096, 0 };

	where.offset = 4096 - 63;
	CHECK_ERROR(hypercall(VCPU_OP, 10, 0, (u64)&where), EINVAL);
	where.offset = (u64)&infos[0] % 4096;
	CHECK_ERROR(hypercall(VCPU_OP, 10, 64, (u64)&where), ENOENT);
	check_equal(hypercall(VCPU_OP, 10, 0, (u64)&where), 0);
	CHECK_ERROR(hypercall(VCPU_OP, 10, 0, (u64)&where), EINVAL);
	check(WAIT_FOR(READ_ONCE(infos[0].time.mul), 1000));
	check_equal(infos[0].time.version & 1, 0);
	/* that of a CPU which waits to be started */
	where.frame = (u64)&infos[1] / 4096;
	where.offset = (u64)&infos[1] % 4096;
	check_equal(hypercall(VCPU_OP, 10, 1, (u64)&where), 0);
}

static void runstate(void)
{
	static struct runstate here, told;
	void *pointer = &here;
	u64 sum;

	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&pointer), 0);
	check_equal(hypercall(VCPU_OP, 4, 0, (u64)&told), 0);
	check_equal(told.state, 0); /* running */
	check_equal(READ_ONCE(here.state), 0);
	sum = here.time[0] + here.time[1] + here.time[2] + here.time[3];
	check_equal(sum, here.entry); /* in the state it has been in since */
	check_equal(hypercall(VCPU_OP, 3, 0, 0), 1); /* is up */
	pointer = (void *)NOWHERE;
	CHECK_ERROR(hypercall(VCPU_OP, 5, 0, (u64)&pointer), EFAULT);
	pointer = NULL;
	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&pointer), 0);
}

/* Wherever in a page it begins: what lies around it stays as it was. */
static void runstate_places(void)
{
	static u8 ground[2 * 4096] __attribute__((aligned(4096)));
	u32 size = sizeof(struct runstate), at, i;
	struct runstate here;
	void *pointer;
	bool around;

	for (at = 4096 - size - 1; at <= 4096 + 1; at++) {
		memset(ground, 0x5a, sizeof(ground));
		pointer = ground + at;
		check_equal(hypercall(VCPU_OP, 5, 0, (u64)&pointer), 0);
		hypercall(SCHED_OP, 0, 0, 0);
		memcpy(&here, ground + at, size);
		check_equal(here.state, 0);
		check_equal(here.time[0] + here.time[1] + here.time[2] + here.time[3], here.entry);
		around = true;
		for (i = at - 64; i < at + size + 64; i++)
			around &= (i >= at && i < at + size) || ground[i] == 0x5a;
		check(around);
		pointer = NULL;
		check_equal(hypercall(VCPU_OP, 5, 0, (u64)&pointer), 0);
	}
}

static void time_area(void)
{
	static struct vcpu_time copy __attribute__((aligned(32)));
	void *pointer = &copy;
	u64 now, before;

	if (by_hand) {
		CHECK_ERROR(hypercall(VCPU_OP, 13, 0, (u64)&pointer), ENOSYS);
		check(READ_ONCE(infos[0].time.system_time) != 0);
		return;
	}
	check_equal(hypercall(VCPU_OP, 13, 0, (u64)&pointer), 0);
	check(WAIT_FOR(READ_ONCE(copy.mul), 1000));
	check_equal(copy.mul, infos[0].time.mul);
	before = READ_ONCE(copy.system_time);
	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	check(now >= before);
	pointer = NULL;
	check_equal(hypercall(VCPU_OP, 13, 0, (u64)&pointer), 0);
}

/* The ports by which a driver has emulated devices unplugged. */
static void platform(void)
{
	const char *text = "xen guest\n";

	check_equal(inw(0x10), 0x49d2);
	check_equal(inb(0x12), 1);
	outw(0x12, 3); /* product: Linux */
	outl(0x10, 0x12345); /* build */
	check_equal(inw(0x10), 0x49d2); /* not refused */
	outw(0x10, 3); /* disks and network cards */
	for (; *text; text++)
		outb(0x12, (u8)*text);
	check_equal(inb(0x10), 0xff); /* widths that mean nothing */
	check_equal(inl(0x10), 0xffffffff);
}

const struct test tests[] = {
	{ "cpuid", leaves },
	{ "version", version },
	{ "hypercall-page", hypercall_page },
	{ "shared-info", shared_info },
	{ "vcpu-info", vcpu_info },
	{ "runstate", runstate },
	{ "runstate-places", runstate_places },
	{ "time-area", time_area },
	{ "params", params },
	{ "platform", platform },
	{ "ports", ports },
	{ "all-ports", all_ports },
	{ "wire", wire },
	{ "ipi-self", ipi_self },
	{ "masked", masked },
	{ "vcpu-vector", vcpu_vector },
	{ "interdomain", interdomain },
	{ "timer", timer },
	{ "poll", poll },
	{ "remap", remap },
	{ "two-pages", two_pages },
	{ "apic-off", apic_off },
	{ "own-debug", own_debug },
	{ "watched-msrs", watched_msrs },
	{ "refused", refused },
	{ "multicall", multicall },
	{ "balloon", balloon },
	{ "balloon-far", balloon_far },
	{ "memory-misc", memory_misc },
	{ "switches", switches },
	{ "denied", denied },
	{ "timers", timers },
	{ "blocked", blocked },
	{ "watchdog", watchdog },
	{ "ipi-other", ipi_other },
	{ "second-clock", second_clock },
	{ "at-once", at_once },
	{ "moves-while-polled", moves_while_polled },
	{ "up-and-down", up_and_down },
	{ "soft-reset", soft_reset },
	{},
};
