/* SPDX-License-Identifier: Apache-2.0 */
/* A Xen HVM domain from inside: hypercalls, shared pages, event channels. Layouts and numbers are
 * those of Xen's public interface (xen/include/public/), for 64-bit guests. Two CPUs at most. */
#ifndef GUEST_LIB_XEN_H
#define GUEST_LIB_XEN_H

#include "guest.h"

#define XEN_BASE 0x40000000
#define XEN_MSR 0x40000000
#define DOMID_SELF 0x7ff0

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define ENXIO 6
#define EACCES 13
#define EFAULT 14
#define EEXIST 17
#define EINVAL 22
#define ENOSPC 28
#define ENOSYS 38
#define ETIME 62
#define EOPNOTSUPP 95

#define MEMORY_OP 12
#define SET_TIMER_OP 15
#define XEN_VERSION 17
#define VCPU_OP 24
#define SCHED_OP 29
#define EVENT_CHANNEL_OP 32
#define HVM_OP 34

#define VEC_GLOBAL 0x60
#define VEC_CPU 0x61
#define SLOW_MS 10000

#define NOWHERE 0x7f0000000000ull /* a canonical address with nothing mapped */

struct vcpu_time {
	u32 version, pad;
	u64 tsc, system_time;
	u32 mul;
	signed char shift;
	u8 flags, pad1[2];
};

struct vcpu_info {
	u8 pending, mask, pad[6];
	u64 selector;
	u64 arch[2];
	struct vcpu_time time;
};

struct shared_info {
	struct vcpu_info vcpu[32];
	u64 pending[64], mask[64];
	u32 wc_version, wc_sec, wc_nsec, wc_sec_hi;
};

struct runstate {
	u32 state, pad;
	u64 entry, time[4];
};

struct evtchn_status {
	u16 dom, pad;
	u32 port, status, vcpu, u[2];
};

extern bool by_hand; /* without KVM's help: a vector of the vCPU's own, one clock for each */
extern struct shared_info *shared; /* where it is mapped now */
extern struct vcpu_info infos[2] __attribute__((aligned(64)));
extern u8 pages[4][4096];

/* The result in RAX: 0 or more, or an error below 0. */
long hypercall(u64 number, u64 a, u64 b, u64 c);
long hypercall6(u64 number, const u64 arguments[6]);
const u8 *hypercall_site(void); /* the instruction, and a return */
#define CHECK_ERROR(call, error) check_equal((u64)(call), (u64)(-(long)(error)))

/* shared_info at `page`, a vcpu_info for each CPU, both CPUs told by VEC_CPU. */
void xen_begin(void);
long map_shared(void *page);
long place_info(u32 vcpu, u64 address);
long hvm_param(u32 op, u32 index, u64 *value);
u64 xen_now(void); /* system time, ns */

static inline long evtchn_op(u32 op, const void *argument)
{
	return hypercall(EVENT_CHANNEL_OP, op, (u64)argument, 0);
}

static inline bool set(const u64 *bits, u32 port)
{
	return READ_ONCE(bits[port / 64]) >> port % 64 & 1;
}

u32 bind_ipi(u32 vcpu); /* the port, unmasked */
void mask(u32 port);
void close_port(u32 port);

/* Upcalls. */
extern u32 others; /* of the second CPU */
extern u32 upcalls; /* of the first; came() clears it */
void on_upcall_global(struct frame *f);
void on_upcall(struct frame *f); /* by a vector of the CPU's own */
void take(struct vcpu_info *info); /* what a kernel does in an upcall */
u32 came(u32 wanted, u32 ms); /* upcalls of the first CPU, given time for one */
void use_vector(u32 vcpu, u8 vector);

/* What takes two CPUs: the second runs what it is given, one thing after the other. */
void second_begin(void (*todo)(void));
void second_end(void);
#endif
