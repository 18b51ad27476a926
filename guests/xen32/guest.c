// SPDX-License-Identifier: Apache-2.0
// The 32-bit guest: where its pages lie, and what is written there.
#include "narrow.h"

struct shared_info *shared;
struct vcpu_info own __attribute__((aligned(64)));
u8 pages[4][4096] __attribute__((aligned(4096)));

_Static_assert(offsetof(struct shared_info, mask) == 0x880, "shared_info");
_Static_assert(offsetof(struct shared_info, wc_sec_hi) == 0x924, "shared_info");
_Static_assert(sizeof(struct runstate) == 0x2c, "runstate");

extern void call_amd(void), call_intel(void);

/* Division of 64 bits, which the compiler wants from a library. */
u64 __udivmoddi4(u64 a, u64 b, u64 *rest);
u64 __udivmoddi4(u64 a, u64 b, u64 *rest)
{
	u64 quotient = 0, r = 0;

	for (int i = 63; i >= 0; i--) {
		r = r << 1 | (a >> i & 1);
		if (r >= b) {
			r -= b;
			quotient |= 1ull << i;
		}
	}
	if (rest)
		*rest = r;
	return quotient;
}

u64 __udivdi3(u64 a, u64 b);
u64 __udivdi3(u64 a, u64 b)
{
	return __udivmoddi4(a, b, NULL);
}

instruction direct(void)
{
	return cpuid(0, 0).ecx == 0x444d4163 ? call_amd : call_intel; /* "cAMD" */
}

long hypercall(u32 number, u32 a, u32 b, u32 c)
{
	const u32 arguments[6] = { a, b, c };

	return hypercall_at(direct(), number, arguments);
}

u32 bind_ipi(void)
{
	u32 argument[2] = { 0, 0 };

	check_equal(evtchn_op(7, argument), 0);
	return argument[1];
}

void unmask(u32 port)
{
	__atomic_fetch_and(&shared->mask[port / 32], ~(1u << port % 32), __ATOMIC_SEQ_CST);
}

void close_port(u32 port)
{
	check_equal(evtchn_op(3, &port), 0);
}

u64 now(void)
{
	u64 ns = 0;

	check_equal(hypercall(HVM_OP, 10, ADDRESS(&ns), 0), 0);
	return ns;
}

static void version(void)
{
	static char text[1024];

	check_equal(hypercall(XEN_VERSION, 0, 0, 0), 4 << 16 | 17);
	check_equal(hypercall(XEN_VERSION, 3, ADDRESS(text), 0), 0);
	check(text[0] == 'h' && text[1] == 'v' && text[2] == 'm');
	check_equal(hypercall(XEN_VERSION, 7, 0, 0), 4096);
	CHECK_ERROR(hypercall(XEN_VERSION, 3, 0xfffffff0, 0), EFAULT); /* where it all ends */
	CHECK_ERROR(hypercall(63, 0, 0, 0), ENOSYS);
}

static void shared_info(void)
{
	struct {
		u16 domid, size;
		u32 space, index, frame;
	} where = { DOMID_SELF, 0, 0, 0, ADDRESS(pages[0]) / 4096 };
	u32 i;

	memset(pages[0], 0xaa, 4096);
	check_equal(hypercall(MEMORY_OP, 7, ADDRESS(&where), 0), 0);
	shared = (void *)pages[0];
	for (i = 0; i < 32; i++) {
		check_equal(shared->pending[i], 0);
		check_equal(shared->mask[i], ~0u);
	}
	check(shared->wc_sec > 1600000000 || shared->wc_sec_hi);
	check_equal(shared->wc_sec_hi, 0); /* before the year 2106 */
	check_equal(shared->wc_version & 1, 0);
	check_equal(pages[0][0xc00], 0); /* where it is for others */
	check(WAIT_FOR(READ_ONCE(shared->vcpu[0].time.mul), SLOW_MS));
	check_equal(shared->vcpu[0].time.version & 1, 0);
}

static void vcpu_info(void)
{
	struct {
		u64 frame;
		u32 offset, reserved;
	} where = { ADDRESS(&own) / 4096, ADDRESS(&own) % 4096, 0 };

	check_equal(hypercall(VCPU_OP, 10, 0, ADDRESS(&where)), 0);
	CHECK_ERROR(hypercall(VCPU_OP, 10, 0, ADDRESS(&where)), EINVAL); /* once only */
	check(WAIT_FOR(READ_ONCE(own.time.mul), SLOW_MS));
	check_equal(own.time.version & 1, 0);
	check(READ_ONCE(own.time.system_time) != 0);
}

/* Wherever in a page it begins: what lies around it stays as it was. */
static void runstate_places(void)
{
	static u8 ground[2 * 4096] __attribute__((aligned(4096)));
	u32 size = sizeof(struct runstate), at, i;
	struct runstate here;
	u32 pointer[2] = { 0, 0 };
	bool around;

	for (at = 4096 - size - 1; at <= 4096 + 1; at++) {
		memset(ground, 0x5a, sizeof(ground));
		pointer[0] = ADDRESS(ground + at);
		check_equal(hypercall(VCPU_OP, 5, 0, ADDRESS(pointer)), 0);
		hypercall(SCHED_OP, 0, 0, 0);
		memcpy(&here, ground + at, size);
		check_equal(here.state, 0);
		check(here.entry && here.time[0]);
		check_equal(here.time[0] + here.time[1] + here.time[2] + here.time[3], here.entry);
		around = true;
		for (i = at - 64; i < at + size + 64; i++)
			around &= (i >= at && i < at + size) || ground[i] == 0x5a;
		check(around);
		pointer[0] = 0;
		check_equal(hypercall(VCPU_OP, 5, 0, ADDRESS(pointer)), 0);
	}
}

const struct test tests[] = {
	{ "arguments", arguments },
	{ "arguments-by-page", arguments_by_page },
	{ "version", version },
	{ "shared-info", shared_info },
	{ "vcpu-info", vcpu_info },
	{ "runstate-places", runstate_places },
	{ "all-ports", all_ports },
	{ "masked", masked },
	{ "order", order },
	{ "timers", timers },
	{ "polls", polls },
	{ "lists", lists },
	{ "physmap-batch", physmap_batch },
	{ "upcall", upcall },
	{},
};

void narrow_main(void);
void narrow_main(void)
{
	boot_parse();
	print_init();
	guest_exit((u8)ktap_run());
}
