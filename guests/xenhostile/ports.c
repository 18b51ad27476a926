// SPDX-License-Identifier: Apache-2.0
// Numbers of things that are not there, or not the guest's.
#include "hostile.h"

static void refuse(u32 port)
{
	u32 pair[2] = { port, 0 }, peer[3] = { DOMID_SELF, port, 0 };

	CHECK_ERROR(evtchn_op(3, &port), EINVAL);
	CHECK_ERROR(evtchn_op(4, &port), EINVAL);
	CHECK_ERROR(evtchn_op(8, pair), EINVAL);
	CHECK_ERROR(evtchn_op(9, &port), EINVAL);
	CHECK_ERROR(evtchn_op(0, peer), EINVAL);
}

CASE(ports_out_of_range)
{
	static const u32 numbers[] = { 0, 4096, 4097, 65536, 0x7fffffff, 0x80000000, ~0u };
	struct evtchn_status status = { DOMID_SELF, 0, 0, 0, 0, {} };
	u64 half;

	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++) {
		refuse(numbers[i]);
		status.port = numbers[i];
		CHECK_ERROR(evtchn_op(5, &status), EINVAL);
		half = numbers[i] | 1ull << 32; /* only half of it is the port */
		CHECK_ERROR(evtchn_op(4, &half), EINVAL);
	}
}

CASE(ports_closed)
{
	u32 port = bind_ipi(0), timer[3] = { 0, 0, 0 };

	close_port(port);
	refuse(port);
	check_equal(evtchn_op(1, timer), 0);
	close_port(timer[2]);
	refuse(timer[2]);
	check_equal(evtchn_op(1, timer), 0); /* it can be bound again */
	CHECK_ERROR(evtchn_op(4, &timer[2]), EINVAL); /* a VIRQ is not the guest's to send */
	close_port(timer[2]);
}

/* Ports that others own, or that are for others. */
CASE(ports_foreign)
{
	u32 kept[2] = { DOMID_SELF, 0 }, peer[3] = { DOMID_SELF, 0, 0 }, port = bind_ipi(0);
	u64 store = 0;

	check_equal(evtchn_op(6, kept), 0); /* for domain 0 */
	peer[1] = kept[1];
	CHECK_ERROR(evtchn_op(0, peer), EINVAL);
	peer[0] = 0;
	CHECK_ERROR(evtchn_op(0, peer), EINVAL);
	peer[0] = DOMID_SELF;
	peer[1] = port; /* an IPI's */
	CHECK_ERROR(evtchn_op(0, peer), EINVAL);
	check_equal(hvm_param(1, 2, &store), 0);
	peer[1] = (u32)store;
	CHECK_ERROR(evtchn_op(0, peer), EINVAL);
	peer[0] = 4711;
	CHECK_ERROR(evtchn_op(0, peer), ESRCH);
	close_port(kept[1]);
	close_port(port);
}

CASE(ports_all_taken)
{
	static u32 taken[4096];
	u32 argument[2] = { 0, 0 }, pair[2] = { DOMID_SELF, 0 }, virq[3] = { 1, 0, 0 }, n = 0;
	long err;

	while (!(err = evtchn_op(7, argument)) && n < ARRAY_SIZE(taken))
		taken[n++] = argument[1];
	CHECK_ERROR(err, ENOSPC);
	check(n > 4000);
	CHECK_ERROR(evtchn_op(6, pair), ENOSPC);
	CHECK_ERROR(evtchn_op(1, virq), ENOSPC);
	while (n)
		close_port(taken[--n]);
	check_equal(evtchn_op(1, virq), 0); /* what could not be bound was not */
	close_port(virq[2]);
}

CASE(virqs_out_of_range)
{
	static const u32 numbers[] = { 24, 25, 255, 0x80000000, ~0u };
	u32 bind[3] = { 0, 0, 0 };

	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++) {
		bind[0] = numbers[i];
		CHECK_ERROR(evtchn_op(1, bind), EINVAL);
	}
	bind[0] = 3; /* one for the domain, not for a vCPU */
	bind[1] = 1;
	CHECK_ERROR(evtchn_op(1, bind), EINVAL);
}

CASE(vcpus_out_of_range)
{
	static const u32 numbers[] = { 2, 31, 32, 64, 0x80000000, ~0u };
	static const u8 ops[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
	u32 port[2] = { bind_ipi(0), 0 }, pair[2];
	struct {
		u32 vcpu;
		u8 vector, pad[3];
	} upcall = { 0, 0x40, {} };

	for (u32 i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (u32 n = 0; n < sizeof(ops); n++)
			CHECK_ERROR(hypercall(VCPU_OP, ops[n], numbers[i], (u64)pages[3]), ENOENT);
		pair[0] = numbers[i];
		CHECK_ERROR(evtchn_op(7, pair), ENOENT);
		port[1] = numbers[i];
		CHECK_ERROR(evtchn_op(8, port), ENOENT);
		upcall.vcpu = numbers[i];
		CHECK_ERROR(hypercall(HVM_OP, 23, (u64)&upcall, 0), ENOENT);
	}
	close_port(port[0]);
}

CASE(domains_foreign)
{
	static const struct {
		u16 domid;
		u16 error;
	} others[] = { { 0, EPERM },	  { 2, ESRCH },	     { 4711, ESRCH },
		       { 0x7ff1, ESRCH }, { 0x7fff, ESRCH }, { 0xffff, ESRCH } };
	u64 block[8];

	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		u16 error = others[i].error;
		memset(block, 0, sizeof(block));
		memcpy(block, &others[i].domid, 2);
		CHECK_ERROR(hypercall(MEMORY_OP, 3, (u64)block, 0), error);
		CHECK_ERROR(hypercall(MEMORY_OP, 4, (u64)block, 0), error);
		CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)block, 0), error);
		CHECK_ERROR(hypercall(MEMORY_OP, 14, (u64)block, 0), error);
		CHECK_ERROR(hypercall(MEMORY_OP, 15, (u64)block, 0), error);
		CHECK_ERROR(hypercall(HVM_OP, 0, (u64)block, 0), error);
		CHECK_ERROR(hypercall(HVM_OP, 1, (u64)block, 0), error);
		CHECK_ERROR(hypercall(HVM_OP, 15, (u64)block, 0), error);
		CHECK_ERROR(evtchn_op(5, block), error);
		CHECK_ERROR(evtchn_op(6, block), error);
		CHECK_ERROR(evtchn_op(10, block), error);
		CHECK_ERROR(hypercall(GRANT_TABLE_OP, 10, (u64)block, 1), error);
		CHECK_ERROR(hypercall(SCHED_OP, 4, (u64)block, 0), error);
	}
}

CASE(vectors_below_16)
{
	struct {
		u32 vcpu;
		u8 vector, pad[3];
	} upcall = { 0, 0, {} };
	u64 via;

	for (u32 vector = 0; vector < 16; vector++) {
		upcall.vector = (u8)vector;
		upcall.vcpu = vector & 1;
		CHECK_ERROR(hypercall(HVM_OP, 23, (u64)&upcall, 0), EINVAL);
		via = 2ull << 56 | vector;
		CHECK_ERROR(hvm_param(0, 0, &via), EINVAL);
	}
}

CASE(params_wild)
{
	static const u64 values[] = {
		3ull << 56,    4ull << 56, ~0ull, 1ull << 56 | 1ull << 55, 1ull << 56 | 0xff << 16,
		2ull << 56 | 1
	};
	static const u32 indices[] = { 39, 40, 255, 0x7fffffff, 0x80000000, ~0u };
	u64 value;

	for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
		value = values[i]; /* no matter: it has a vector of its own */
		long err = hvm_param(0, 0, &value);
		check(!err || err == -EINVAL);
	}
	value = 0;
	check_equal(hvm_param(0, 0, &value), 0);
	for (u32 i = 0; i < ARRAY_SIZE(indices); i++) {
		value = 0;
		CHECK_ERROR(hvm_param(0, indices[i], &value), EINVAL);
		CHECK_ERROR(hvm_param(1, indices[i], &value), EINVAL);
	}
	for (u32 index = 1; index < 39; index++) {
		long err = hvm_param(1, index, &value);
		check(!err || err == -EPERM);
	}
	value = 103ull << 32;
	CHECK_ERROR(hvm_param(0, 37, &value), EINVAL); /* a task state segment too short */
	value = 3;
	CHECK_ERROR(hvm_param(0, 36, &value), EINVAL);
	CHECK_ERROR(hvm_param(0, 17, &value), EPERM); /* where the console's page is */
}
