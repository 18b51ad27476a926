/* SPDX-License-Identifier: Apache-2.0 */
/* Xen's public interface as far as these tests need it (xen/include/public/), 64-bit layout. */
#ifndef GUEST_XEN_H
#define GUEST_XEN_H

#include "guest.h"

#define XEN_BASE 0x40000000
#define XEN_MSR 0x40000000
#define DOMID_SELF 0x7ff0

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
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
long map_shared(void *page);
long hvm_param(u32 op, u32 index, u64 *value);
#define CHECK_ERROR(call, error) check_equal((u64)(call), (u64)(-(long)(error)))

static inline long evtchn_op(u32 op, const void *argument)
{
	return hypercall(EVENT_CHANNEL_OP, op, (u64)argument, 0);
}

static inline bool set(const u64 *bits, u32 port)
{
	return READ_ONCE(bits[port / 64]) >> port % 64 & 1;
}

/* events.c */
void ports(void);
void all_ports(void);
void ipi_self(void);
void masked(void);
void vcpu_vector(void);
void interdomain(void);
void timer(void);
void poll(void);
void remap(void);
extern u32 others; /* upcalls of the second CPU */
extern u32 upcalls; /* of this one; came() clears it */
void take(struct vcpu_info *info); /* what a kernel does in an upcall */
u32 bind_ipi(u32 vcpu);
u32 came(u32 wanted, u32 ms); /* upcalls of this CPU, given time for one */
void close_port(u32 port);
void use_vector(u32 vcpu, u8 vector);
/* second.c */
void ipi_other(void);
void at_once(void);
void moves_while_polled(void);
void up_and_down(void);
void soft_reset(void);
/* calls.c */
void multicall(void);
void balloon(void);
void balloon_far(void);
void memory_misc(void);
void switches(void);
void denied(void);
void timers(void);
void blocked(void);
void watchdog(void);
void second_begin(void (*todo)(void));
void second_end(void);
/* traps.c */
void two_pages(void);
void wire(void);
void apic_off(void);
void second_clock(void);
/* refused.c */
void refused(void);
void params(void);
#endif
