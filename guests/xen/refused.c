// SPDX-License-Identifier: Apache-2.0
// What Xen refuses, and with which error; the domain lives on after each.
#include "xen.h"

void params(void)
{
	u64 value = 0;

	check_equal(hvm_param(1, 1, &value), 0); /* STORE_PFN */
	check_equal(value, 0xfeff8);
	check_equal(hvm_param(1, 2, &value), 0); /* STORE_EVTCHN: the first port that was made */
	check_equal(value, 1);
	check_equal(hvm_param(1, 18, &value), 0); /* CONSOLE_EVTCHN: there is no console */
	check_equal(value, 0);
	CHECK_ERROR(hvm_param(0, 1, &value), EPERM);
	CHECK_ERROR(hvm_param(0, 12, &value), EPERM); /* IDENT_PT */
	CHECK_ERROR(hvm_param(1, 12, &value), EPERM);
	CHECK_ERROR(hvm_param(1, 39, &value), EINVAL);
	CHECK_ERROR(hvm_param(0, ~0u, &value), EINVAL);
	value = 0x1234;
	check_equal(hvm_param(0, 34, &value), 0); /* VM_GENERATION_ID_ADDR */
	value = 0;
	check_equal(hvm_param(1, 34, &value), 0);
	check_equal(value, 0x1234);
	value = 2ull << 56 | 15; /* a vector that is an exception's */
	CHECK_ERROR(hvm_param(0, 0, &value), EINVAL);
	value = 200; /* no such pin */
	CHECK_ERROR(hvm_param(0, 0, &value), EINVAL);
	value = 3ull << 56; /* no way to be told */
	CHECK_ERROR(hvm_param(0, 0, &value), EINVAL);
	value = 1ull << 56 | 1 << 16; /* the wire of a device on another bus */
	CHECK_ERROR(hvm_param(0, 0, &value), EINVAL);
}

static void refuse_pages(void)
{
	struct {
		u16 domid, size;
		u32 space;
		u64 index, frame;
	} where = { DOMID_SELF, 0, 0, 0, (u64)shared / 4096 };

	CHECK_ERROR(hypercall(MEMORY_OP, 7, NOWHERE, 0), EFAULT);
	where.index = 1;
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
	where.index = 0;
	where.space = 77;
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
	where.space = 0;
	where.domid = 0;
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EPERM);
	where.domid = 4711;
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), ESRCH);
	where.domid = DOMID_SELF;
	where.frame = 0xfee00; /* no RAM */
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
	where.frame = ~0ull;
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
	where.frame = 1ull << 52;
	CHECK_ERROR(hypercall(MEMORY_OP, 7, (u64)&where, 0), EINVAL);
}

static void refuse_vcpus(void)
{
	struct {
		u64 frame;
		u32 offset, reserved;
	} where = { ~0ull, 0, 0 };
	struct {
		u32 vcpu;
		u8 vector, pad[3];
	} upcall = { 0, 15, {} };

	CHECK_ERROR(hypercall(VCPU_OP, 10, ~0u, (u64)&where), ENOENT);
	CHECK_ERROR(hypercall(VCPU_OP, 10, 1, (u64)&where), EINVAL);
	CHECK_ERROR(hypercall(VCPU_OP, 10, 1, NOWHERE), EFAULT);
	CHECK_ERROR(hypercall(VCPU_OP, 12, 0, 0), EINVAL);
	CHECK_ERROR(hypercall(VCPU_OP, 99, 0, 0), ENOSYS);
	CHECK_ERROR(hypercall(HVM_OP, 23, (u64)&upcall, 0), EINVAL);
	upcall.vector = 0x40;
	upcall.vcpu = 2;
	CHECK_ERROR(hypercall(HVM_OP, 23, (u64)&upcall, 0), ENOENT);
	upcall.vcpu = ~0u;
	CHECK_ERROR(hypercall(HVM_OP, 23, (u64)&upcall, 0), ENOENT);
}

static void fifo(void)
{
	struct {
		u64 frame;
		u32 offset, vcpu;
		u64 links;
	} control = { (u64)pages[2] / 4096, 0, 0, 0 };
	u32 priority[2] = { 0, 3 };

	CHECK_ERROR(evtchn_op(11, &control), ENOSYS);
	control.offset = 4;
	CHECK_ERROR(evtchn_op(11, &control), EINVAL);
	control.offset = 4096 - 64;
	CHECK_ERROR(evtchn_op(11, &control), EINVAL);
	control.offset = 0;
	control.vcpu = 2;
	CHECK_ERROR(evtchn_op(11, &control), ENOENT);
	CHECK_ERROR(evtchn_op(11, (void *)NOWHERE), EFAULT);
	CHECK_ERROR(evtchn_op(12, &control), EOPNOTSUPP);
	CHECK_ERROR(evtchn_op(13, priority), EINVAL);
	priority[0] = bind_ipi(0);
	CHECK_ERROR(evtchn_op(13, priority), ENOSYS);
	close_port(priority[0]);
}

static void refuse_ports(void)
{
	static const u32 wild[] = { 0, 900, 4095, 4096, 0x80000000, ~0u };
	u32 pair[3], i;

	for (i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		CHECK_ERROR(evtchn_op(3, &wild[i]), EINVAL);
		CHECK_ERROR(evtchn_op(4, &wild[i]), EINVAL);
		CHECK_ERROR(evtchn_op(9, &wild[i]), EINVAL);
		pair[0] = wild[i];
		pair[1] = 0;
		CHECK_ERROR(evtchn_op(8, pair), EINVAL);
		pair[0] = DOMID_SELF;
		pair[1] = wild[i];
		CHECK_ERROR(evtchn_op(0, pair), EINVAL);
	}
	pair[0] = 24; /* VIRQs end before */
	pair[1] = 0;
	CHECK_ERROR(evtchn_op(1, pair), EINVAL);
	pair[0] = 2; /* one for all vCPUs, on the wrong one */
	pair[1] = 1;
	CHECK_ERROR(evtchn_op(1, pair), EINVAL);
	pair[0] = 1;
	pair[1] = 2;
	CHECK_ERROR(evtchn_op(1, pair), ENOENT);
	pair[0] = 2;
	CHECK_ERROR(evtchn_op(7, pair), ENOENT);
	pair[0] = DOMID_SELF | 4711 << 16;
	CHECK_ERROR(evtchn_op(6, pair), ESRCH);
	pair[0] = 0;
	CHECK_ERROR(evtchn_op(6, pair), EPERM);
	pair[0] = 0; /* a port of the back-end's domain, which offers none */
	pair[1] = 1;
	CHECK_ERROR(evtchn_op(0, pair), EINVAL);
	CHECK_ERROR(evtchn_op(7, (void *)NOWHERE), EFAULT);
	fifo();
}

void refused(void)
{
	u32 reason = 77;

	refuse_pages();
	refuse_vcpus();
	refuse_ports();
	CHECK_ERROR(hypercall(SCHED_OP, 2, (u64)&reason, 0), EINVAL);
	CHECK_ERROR(hypercall(SCHED_OP, 2, NOWHERE, 0), EFAULT);
	CHECK_ERROR(hypercall(SCHED_OP, 98, 0, 0), ENOSYS);
	CHECK_ERROR(hypercall(63, 0, 0, 0), ENOSYS);
	CHECK_ERROR(hypercall(~0ull, ~0ull, ~0ull, ~0ull), ENOSYS);
	/* the last bytes of the address space: no wrap */
	CHECK_ERROR(hypercall(XEN_VERSION, 3, ~0ull - 8, 0), EFAULT);
	CHECK_ERROR(evtchn_op(5, (void *)(~0ull - 8)), EFAULT);
}
