// SPDX-License-Identifier: Apache-2.0
#include "time.h"

#define KVM_SIGNATURE_EBX 0x4b4d564b // "KVMK"
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

struct pvclock {
	u32 version, pad;
	u64 tsc, system_time;
	u32 mul;
	signed char shift;
	u8 flags, pad2[2];
};

static struct pvclock pvclock __attribute__((aligned(64)));
static u64 khz;

/* ns = (ticks << shift) * mul >> 32, hence ticks per ms = 10^6 << 32 / mul >> shift */
static u64 khz_kvmclock(void)
{
	u64 rate;

	if (cpuid(0x40000000, 0).ebx != KVM_SIGNATURE_EBX ||
	    !(cpuid(0x40000001, 0).eax & KVM_FEATURE_CLOCKSOURCE2))
		return 0;
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)&pvclock | 1);
	barrier();
	rate = READ_ONCE(pvclock.mul) ? (1000000ull << 32) / READ_ONCE(pvclock.mul) : 0;
	rate = pvclock.shift < 0 ? rate << -pvclock.shift : rate >> pvclock.shift;
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0);
	return rate;
}

static u64 khz_cpuid(void)
{
	u32 max = cpuid(0, 0).eax;
	struct cpuid r;

	if (max >= 0x15) {
		r = cpuid(0x15, 0);
		if (r.eax && r.ebx && r.ecx)
			return (u64)r.ecx * r.ebx / r.eax / 1000;
	}
	return max >= 0x16 ? (u64)(cpuid(0x16, 0).eax & 0xffff) * 1000 : 0;
}

u64 tsc_khz(void)
{
	if (!khz)
		khz = khz_kvmclock();
	if (!khz)
		khz = khz_cpuid();
	if (!khz)
		khz = 2000000;
	return khz;
}

u64 deadline_ms(u64 ms)
{
	return rdtsc() + ms * tsc_khz();
}

void delay_us(u64 us)
{
	u64 end = rdtsc() + us * tsc_khz() / 1000;

	while (rdtsc() < end)
		pause();
}
