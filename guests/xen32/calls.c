// SPDX-License-Identifier: Apache-2.0
// Hypercalls' arguments, and lists of 32-bit words.
#include "narrow.h"

struct entry {
	u32 op, result, args[6];
};

/* The host compares what arrived with what it expects, and answers with a sum. */
static void probe(instruction at)
{
	static const u32 values[6] = { 0x11111111, 0x22222222, 0x83333333,
				       0x44444444, 0x55555555, 0xf6666666 };

	check_equal(hypercall_at(at, PROBE, values), 0x1234567);
}

void arguments(void)
{
	probe(direct());
}

void arguments_by_page(void)
{
	const u32 none[6] = { 7 };

	wrmsr(XEN_MSR, ADDRESS(pages[3]));
	check_equal(hypercall_at((instruction)(pages[3] + XEN_VERSION * 32), 0, none), 4096);
	probe((instruction)(pages[3] + PROBE * 32));
}

void lists(void)
{
	static struct entry entries[40];
	u32 i;

	for (i = 0; i < 40; i++)
		entries[i] = (struct entry){ XEN_VERSION, 77, { 7 } };
	entries[1] = (struct entry){ XEN_VERSION, 77, { 3, 0xfffffff0 } };
	entries[2] = (struct entry){ 63, 77, {} };
	check_equal(hypercall(MULTICALL, ADDRESS(entries), 40, 0), 0);
	check_equal(entries[1].result, (u32)-EFAULT);
	check_equal(entries[2].result, (u32)-ENOSYS);
	for (i = 3; i < 40; i++)
		check_equal(entries[i].result, 4096);
}

void physmap_batch(void)
{
	static u32 indices[2], frames[2];
	static int errors[2] = { 9, 9 };
	struct {
		u16 domid, space, size, extra;
		u32 indices, frames, errors;
	} batch = { DOMID_SELF, 0, 2, 0, ADDRESS(indices), ADDRESS(frames), ADDRESS(errors) };
	u32 ports[2] = { bind_ipi(), 0 };

	frames[0] = ADDRESS(pages[1]) / 4096;
	frames[1] = 0xfee00;
	check_equal(hypercall(MEMORY_OP, 23, ADDRESS(&batch), 0), 0);
	check_equal(errors[0], 0);
	check_equal(errors[1], -EINVAL);
	shared = (void *)pages[1];
	check_equal(evtchn_op(4, ports), 0);
	check(set(shared->pending, ports[0]));
	close_port(ports[0]);
}
