/* SPDX-License-Identifier: Apache-2.0 */
/* A Xen HVM domain as a 32-bit guest sees it: the same interface in another layout
 * (xen/include/public/arch-x86/xen-x86_32.h). */
#ifndef GUEST_XEN32_H
#define GUEST_XEN32_H

#include "boot.h"
#include "cpu.h"
#include "exit.h"
#include "ktap.h"
#include "print.h"
#include "time.h"
#include "types.h"

#define XEN_MSR 0x40000000
#define DOMID_SELF 0x7ff0
#define EFAULT 14
#define EINVAL 22
#define ENOSPC 28
#define ENOSYS 38
#define MEMORY_OP 12
#define MULTICALL 13
#define SET_TIMER_OP 15
#define XEN_VERSION 17
#define VCPU_OP 24
#define SCHED_OP 29
#define EVENT_CHANNEL_OP 32
#define HVM_OP 34
#define PROBE 48 /* tells the host what arrived */
#define SLOW_MS 10000

struct vcpu_time {
	u32 version, pad;
	u64 tsc, system_time;
	u32 mul;
	signed char shift;
	u8 flags, pad1[2];
};

struct vcpu_info {
	u8 pending, mask, pad[2];
	u32 selector;
	u32 arch[6];
	struct vcpu_time time;
};

struct shared_info {
	struct vcpu_info vcpu[32];
	u32 pending[32], mask[32];
	u32 wc_version, wc_sec, wc_nsec;
	u32 max_pfn, list, nmi, cr3, vaddr, generation;
	u32 wc_sec_hi;
};

struct runstate {
	u32 state;
	u64 entry, time[4];
} __attribute__((packed));

extern struct shared_info *shared;
extern struct vcpu_info own;
extern u8 pages[4][4096];
extern u32 upcalls;

typedef void (*instruction)(void);
instruction direct(void);
long hypercall_at(instruction at, u32 number, const u32 arguments[6]);
long hypercall(u32 number, u32 a, u32 b, u32 c);
#define CHECK_ERROR(call, error) check_equal((u64)(call), (u64)(-(s64)(error)))
#define ADDRESS(thing) ((u32)(uintptr_t)(thing))

static inline long evtchn_op(u32 op, const void *argument)
{
	return hypercall(EVENT_CHANNEL_OP, op, ADDRESS(argument), 0);
}

static inline bool set(const u32 *bits, u32 port)
{
	return READ_ONCE(bits[port / 32]) >> port % 32 & 1;
}

u32 bind_ipi(void);
void unmask(u32 port);
void close_port(u32 port);
u64 now(void);

/* calls.c */
void arguments(void);
void arguments_by_page(void);
void lists(void);
void physmap_batch(void);
/* events.c */
void all_ports(void);
void masked(void);
void order(void);
void timers(void);
void polls(void);
void upcall(void);
#endif
