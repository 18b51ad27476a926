// SPDX-License-Identifier: Apache-2.0
// Counts beyond all measure, and numbers of calls that nobody has.
#include "hostile.h"

struct entry {
	u64 op, result, args[6];
};

#define LAST_PAGE (RAM_END - 4096)
#define LAST_ENTRIES (4096 / sizeof(struct entry))

void bear(u64 number, u64 a, u64 b, u64 c)
{
	long result = hypercall(number, a, b, c);

	check(result >= -133 && result < 1 << 30);
}

/* The list goes on beyond the memory's end. */
CASE(multicall_huge)
{
	struct entry *list = PTR(LAST_PAGE);
	u32 i;

	for (i = 0; i < LAST_ENTRIES; i++)
		list[i] = (struct entry){ XEN_VERSION, 77, { 7 } };
	CHECK_ERROR(hypercall(MULTICALL, LAST_PAGE, ~0u, 0), EFAULT);
	for (i = 0; i < LAST_ENTRIES; i++)
		check_equal(list[i].result, 4096);
	CHECK_ERROR(hypercall(MULTICALL, LAST_PAGE, ~0ull, 0), EFAULT);
	CHECK_ERROR(hypercall(MULTICALL, RAM_END - 64, 2, 0), EFAULT);
	check_equal(hypercall(MULTICALL, NOWHERE, 0, 0), 0);
}

static struct entry entries[33];

CASE(multicall_in_itself)
{
	u32 i;

	for (i = 0; i < 33; i++)
		entries[i] = (struct entry){ MULTICALL, 77, { (u64)entries, 33 } };
	check_equal(hypercall(MULTICALL, (u64)entries, 33, 0), 0);
	for (i = 0; i < 33; i++)
		check_equal(entries[i].result, (u64) - (long)EINVAL);
}

/* An entry's answer falls upon those that come after it. */
CASE(multicall_overwritten)
{
	for (u32 i = 0; i < 33; i++)
		entries[i] = (struct entry){ XEN_VERSION, 77, { 7 } };
	entries[0].args[0] = 3;
	entries[0].args[1] = (u64)&entries[1];
	entries[32].args[0] = 5;
	entries[32].args[1] = (u64)&entries[32].op; /* its own */
	check_equal(hypercall(MULTICALL, (u64)entries, 33, 0), 0);
	check_equal(entries[0].result, 0);
	check_equal(entries[1].result, (u64) - (long)ENOSYS); /* text is no call */
	check_equal(entries[32].result, 0);
}

CASE(poll_huge)
{
	static u32 numbers[128];
	static const u32 counts[] = { 129, 0x10000, 0x40000000, 0x80000000, ~0u };
	struct {
		u32 *ports;
		u32 count;
		u64 timeout;
	} argument = { numbers, 0, 1 };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		argument.count = counts[i];
		CHECK_ERROR(hypercall(SCHED_OP, 3, (u64)&argument, 0), EINVAL);
	}
	argument.count = 128;
	numbers[127] = 4096;
	CHECK_ERROR(hypercall(SCHED_OP, 3, (u64)&argument, 0), EINVAL);
	numbers[127] = ~0u;
	CHECK_ERROR(hypercall(SCHED_OP, 3, (u64)&argument, 0), EINVAL);
}

struct reservation {
	u64 list, count;
	u32 order, flags;
	u16 domid, pad[3];
};

CASE(memory_huge)
{
	static const u64 counts[] = { 1ull << 26, 1ull << 32, 1ull << 63, ~0ull };
	static const u32 orders[] = { 10, 31, 32, 63, 64, ~0u };
	static u64 frame;
	struct reservation r = { (u64)&frame, 1, 0, 0, DOMID_SELF, {} };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		r.count = counts[i];
		check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
		check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 0);
	}
	r.count = 1;
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		r.order = orders[i];
		check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
		check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 0);
	}
	r.order = 0;
	for (i = 14; i < 64; i++) { /* frames that are none */
		frame = 1ull << i;
		check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
		check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 0);
	}
	/* half a list, as far as it goes */
	frame = ~0ull;
	*(u64 *)PTR(RAM_END - 8) = ~0ull;
	r.list = RAM_END - 8;
	r.count = 1000;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
}

/* A call that says it has been interrupted before. */
CASE(memory_continued)
{
	static const u8 once[] = { 2, 3, 4, 7, 14, 15 };
	static u64 frame = ~0ull;
	struct reservation r = { (u64)&frame, 1, 0, 0, DOMID_SELF, {} };
	u64 block[8] = { DOMID_SELF };
	u32 i;

	for (i = 0; i < sizeof(once); i++)
		CHECK_ERROR(hypercall(MEMORY_OP, once[i] | 1 << 6, (u64)block, 0), EINVAL);
	check_equal(hypercall(MEMORY_OP, 1 | 1 << 6, (u64)&r, 0), 1); /* all was done, it says */
	check_equal(hypercall(MEMORY_OP, 1 | 100 << 6, (u64)&r, 0), 100);
	CHECK_ERROR(hypercall(MEMORY_OP, 23 | 1 << 6, (u64)block, 0), EINVAL);
	for (i = 6; i < 64; i++)
		bear(MEMORY_OP, 23 | 1ull << i, (u64)block, 0);
}

CASE(batch_huge)
{
	struct {
		u16 domid, space, size, extra;
		u64 indices, frames, errors;
	} batch = { DOMID_SELF, 77, 0xffff, 0, LAST_PAGE, LAST_PAGE, LAST_PAGE };

	memset(PTR(LAST_PAGE), 0, 4096);
	CHECK_ERROR(hypercall(MEMORY_OP, 23, (u64)&batch, 0), EFAULT);
	check_equal(*(int *)PTR(LAST_PAGE + 4 * 500), -EINVAL); /* it came that far */
	batch.extra = 1;
	CHECK_ERROR(hypercall(MEMORY_OP, 23, (u64)&batch, 0), EINVAL);
	batch.extra = 0;
	batch.size = 0;
	check_equal(hypercall(MEMORY_OP, 23, (u64)&batch, 0), 0);
}

CASE(grants_huge)
{
	static const u32 counts[] = { 65, 0x10000, 0x80000000, ~0u };
	static u64 frames[64];
	struct {
		u16 domid, pad;
		u32 count;
		short status;
		u64 frames;
	} table = { DOMID_SELF, 0, 0, 0, (u64)frames };
	u32 i, version = 2;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		table.count = counts[i];
		check_equal(hypercall(GRANT_TABLE_OP, 2, (u64)&table, 1), 0);
		check_equal((u16)table.status, (u16)-1); /* GNTST_general_error */
		CHECK_ERROR(hypercall(GRANT_TABLE_OP, 2, (u64)&table, counts[i]), EINVAL);
		CHECK_ERROR(hypercall(GRANT_TABLE_OP, 6, (u64)&table, counts[i]), EINVAL);
	}
	table.domid = 4711;
	table.count = 1;
	check_equal(hypercall(GRANT_TABLE_OP, 2, (u64)&table, 1), 0);
	check_equal((u16)table.status, (u16)-2); /* GNTST_bad_domain */
	CHECK_ERROR(hypercall(GRANT_TABLE_OP, 8, (u64)&version, 1), ENOSYS);
	version = 7;
	CHECK_ERROR(hypercall(GRANT_TABLE_OP, 8, (u64)&version, 1), EINVAL);
	for (i = 0; i < 32; i++) /* mapping and copying: nothing to be had */
		if (i != 2 && i != 6 && i != 8 && i != 10)
			CHECK_ERROR(hypercall(GRANT_TABLE_OP, i, (u64)frames, ~0u), ENOSYS);
}

/* Frames of the table that are not there, and places where none can be. */
CASE(grants_wild)
{
	static const u64 indices[] = { 64, 65535, 1ull << 31, 1ull << 62 };
	static const u64 places[] = { 0xfee00, 0xfec00, 1ull << 40, 1ull << 51, ~0ull };
	struct {
		u16 domid, size;
		u32 space;
		u64 index, frame;
	} where = { DOMID_SELF, 0, 1, 0, (u64)pages[3] / 4096 };
	u32 i;
	long err;

	for (i = 0; i < ARRAY_SIZE(indices); i++) {
		where.index = indices[i];
		CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
	}
	where.index = 0;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		where.frame = places[i];
		CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
	}
	for (i = 0; i < 20; i++) { /* everywhere beyond RAM */
		where.frame = 0x100000000ull / 4096 * (i + 2);
		err = hypercall(MEMORY_OP, 7, (u64)&where, 0);
		check(!err || err == -EINVAL || err == -12);
	}
	check_equal(err, -12); /* somewhere it ends */
	for (i = 0; i < 64; i++) {
		where.index = i;
		where.frame = (u64)pages[3] / 4096; /* all in one place */
		check_equal(hypercall(MEMORY_OP, 7, (u64)&where, 0), 0);
	}
}

CASE(calls_unknown)
{
	for (u32 number = 0; number < 256; number++) {
		for (u32 op = 0; op < (number < 56 ? 48 : 2); op++)
			if (number != MULTICALL)
				bear(number, op, ~0ull, NOWHERE);
		bear(number, ~0ull, ~0ull, ~0ull);
		if (number >= 56)
			CHECK_ERROR(hypercall(number, 0, 0, 0), ENOSYS);
	}
	hypercall(SET_TIMER_OP, 0, 0, 0);
}
