// SPDX-License-Identifier: Apache-2.0
// Every call that takes a pointer, with pointers to nowhere.
#include "hostile.h"

const u64 wild[6] = { NOWHERE, ~0ull - 1, 5ull << 32, 0xfee00000, 0xe0000000, RAM_END - 1 };

CASE(pointers_memory_op)
{
	static const u8 ops[] = { 3, 4, 7, 14, 15, 23 }, silent[] = { 0, 1, 6 };
	u32 i;

	for (i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, hypercall(MEMORY_OP, ops[i], at, 0));
	for (i = 0; i < sizeof(silent); i++)
		for (u32 n = 0; n < ARRAY_SIZE(wild); n++)
			check_equal(hypercall(MEMORY_OP, silent[i], wild[n], 0), 0);
}

CASE(pointers_version)
{
	static const u8 ops[] = { 1, 2, 3, 4, 5, 6, 8, 9 };

	for (u32 i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, hypercall(XEN_VERSION, ops[i], at, 0));
}

CASE(pointers_event_channel)
{
	static const u8 ops[] = { 0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
	u32 first = bind_ipi(0), after;

	for (u32 i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, evtchn_op(ops[i], PTR(at)));
	after = bind_ipi(0);
	check_equal(after, first + 1); /* none was made and lost */
	close_port(first);
	close_port(after);
}

CASE(pointers_vcpu_op)
{
	static const u8 ops[] = { 4, 5, 6, 8, 10, 13 };

	for (u32 i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, hypercall(VCPU_OP, ops[i], 0, at));
}

CASE(pointers_sched_op)
{
	static const u8 ops[] = { 2, 3, 4, 5, 6 };

	for (u32 i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, hypercall(SCHED_OP, ops[i], at, 0));
}

CASE(pointers_hvm_op)
{
	static const u8 ops[] = { 0, 1, 10, 15, 23 };

	for (u32 i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, hypercall(HVM_OP, ops[i], at, 0));
}

CASE(pointers_grant_table)
{
	static const u8 ops[] = { 2, 6, 8, 10 };

	for (u32 i = 0; i < sizeof(ops); i++)
		EVERY_WILD(at, hypercall(GRANT_TABLE_OP, ops[i], at, 1));
}

CASE(pointers_multicall)
{
	EVERY_WILD(at, hypercall(MULTICALL, at, 1, 0));
	EVERY_WILD(at, hypercall(MULTICALL, at, ~0u, 0));
}

CASE(pointers_console_io)
{
	EVERY_WILD(at, hypercall(CONSOLE_IO, 0, 100, at));
	CHECK_ERROR(hypercall(CONSOLE_IO, 0, 1ull << 30, NOWHERE), EFAULT);
}

/* Pointers that lie in structures. */
CASE(pointers_in_structures)
{
	struct {
		u64 ports;
		u32 count;
		u64 timeout;
	} poll = { 0, 2, 1 };
	struct {
		u16 domid, pad;
		u32 count;
		short status;
		u64 frames;
	} table = { DOMID_SELF, 0, 1, 0, 0 };
	struct {
		u16 domid, space, size, extra;
		u64 indices, frames, errors;
	} batch = { DOMID_SELF, 0, 1, 0, (u64)pages[3], (u64)pages[3], 0 };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		poll.ports = wild[i];
		CHECK_ERROR(hypercall(SCHED_OP, 3, (u64)&poll, 0), EFAULT);
		table.frames = wild[i];
		check_equal(hypercall(GRANT_TABLE_OP, 2, (u64)&table, 1), 0);
		check_equal((u16)table.status, (u16)-5); /* GNTST_bad_virt_addr */
		batch.indices = wild[i];
		CHECK_ERROR(hypercall(MEMORY_OP, 23, (u64)&batch, 0), EFAULT);
		batch.indices = (u64)pages[3];
		batch.frames = wild[i];
		CHECK_ERROR(hypercall(MEMORY_OP, 23, (u64)&batch, 0), EFAULT);
		batch.frames = (u64)pages[3];
	}
}

/* Areas that the hypervisor shall write for ever. */
CASE(pointers_of_areas)
{
	u64 address;

	for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
		address = wild[i];
		CHECK_ERROR(hypercall(VCPU_OP, 5, 0, (u64)&address), EFAULT);
		CHECK_ERROR(hypercall(VCPU_OP, 13, 0, (u64)&address), EFAULT);
	}
	hypercall(SCHED_OP, 0, 0, 0);
	address = 0;
	check_equal(hypercall(VCPU_OP, 5, 0, (u64)&address), 0);
}
