/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions C has no words for: ports, MSRs, control registers, CPUID, TSC. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "types.h"

// clang-format off
static inline void outb(u16 port, u8 v)
{
	asm volatile("outb %0, %1" :: "a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	asm volatile("outw %0, %1" :: "a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	asm volatile("outl %0, %1" :: "a"(v), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;

	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;

	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

/* One move each: the compiler must neither split nor merge device accesses. */
static inline u8 read8(u64 a) { return *(volatile u8 *)a; }
static inline u16 read16(u64 a) { return *(volatile u16 *)a; }
static inline u32 read32(u64 a) { return *(volatile u32 *)a; }
static inline u64 read64(u64 a) { return *(volatile u64 *)a; }
static inline void write8(u64 a, u8 v) { *(volatile u8 *)a = v; }
static inline void write16(u64 a, u16 v) { *(volatile u16 *)a = v; }
static inline void write32(u64 a, u32 v) { *(volatile u32 *)a = v; }
static inline void write64(u64 a, u64 v) { *(volatile u64 *)a = v; }

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" :: "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 sub)
{
	struct cpuid r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(sub));
	return r;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) :: "memory");
	return (u64)hi << 32 | lo;
}

#define READ_CR(n) ({ u64 v_; asm volatile("mov %%cr" #n ", %0" : "=r"(v_) :: "memory"); v_; })
#define WRITE_CR(n, v) asm volatile("mov %0, %%cr" #n :: "r"((u64)(v)) : "memory")

static inline void irq_on(void) { asm volatile("sti" ::: "memory"); }
static inline void irq_off(void) { asm volatile("cli" ::: "memory"); }
static inline void halt(void) { asm volatile("hlt" ::: "memory"); }
/* Sleeps until the next interrupt. STI takes effect after HLT has begun: no wake-up is lost. */
static inline void irq_on_halt(void) { asm volatile("sti; hlt" ::: "memory"); }
static inline void pause(void) { asm volatile("pause" ::: "memory"); }
static inline void barrier(void) { asm volatile("" ::: "memory"); }
static inline void invlpg(u64 a) { asm volatile("invlpg (%0)" :: "r"(a) : "memory"); }

static inline u64 flags_read(void)
{
	u64 v;

	asm volatile("pushfq; pop %0" : "=r"(v) :: "memory");
	return v;
}

// clang-format on

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_PAT 0x277
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103

#define CPUID1_ECX_X2APIC (1u << 21)
#define CPUID1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID1_ECX_XSAVE (1u << 26)

struct spinlock {
	u32 held;
};

static inline void spin_lock(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		pause();
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

static inline void atomic_inc(u32 *p)
{
	__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
}
#endif
