// SPDX-License-Identifier: Apache-2.0
// KVM's own record of stolen time, of every CPU: MSR 0x4b564d03, as in the kernel's documentation
// (virt/kvm/x86/msr.rst). Command line: busy=MS of work for each CPU, which then says what was
// stolen from it and waits for the host to end the machine.
#include "guest.h"

#define KVM_SIGNATURE_EBX 0x4b4d564b /* "KVMK" */
#define KVM_FEATURE_STEAL_TIME (1u << 5)
#define MSR_KVM_STEAL_TIME 0x4b564d03
#define ENABLED 1ull
#define RESERVED 0x3eull
#define CPUS 4
#define SLOW_MS 10000
#define PORT_POST 0x80

struct record {
	u64 steal;
	u32 version, flags;
	u8 preempted, pad[47];
} __attribute__((aligned(64)));

static struct record records[CPUS];
static u32 ready, done, wrong;

static void offered(void)
{
	check_equal(cpuid(0x40000000, 0).ebx, KVM_SIGNATURE_EBX);
	check(cpuid(0x40000001, 0).eax & KVM_FEATURE_STEAL_TIME);
}

static void reserved_bits(void)
{
	u64 value;

	for (u64 bit = 2; bit <= RESERVED; bit <<= 1)
		check_equal(wrmsr_try(MSR_KVM_STEAL_TIME, (u64)&records[0] | bit | ENABLED),
			    VEC_GP);
	check_equal(rdmsr_try(MSR_KVM_STEAL_TIME, &value), NO_FAULT);
	check_equal(value, 0); /* nothing of it was taken */
}

/* A record that is being written has an odd version. */
static u64 steal_of(const struct record *r)
{
	u32 version;
	u64 steal;

	do {
		version = __atomic_load_n(&r->version, __ATOMIC_ACQUIRE);
		steal = READ_ONCE(r->steal);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || version != READ_ONCE(r->version));
	return steal;
}

static void look(u64 *last)
{
	const struct record *r = &records[this_cpu()->index];
	u64 steal = steal_of(r);

	/* A CPU that looks does run; time that was stolen is not given back. */
	if (r->version & 1 || r->flags || r->preempted || steal < *last)
		atomic_inc(&wrong);
	*last = steal;
}

static void work(void)
{
	u32 index = this_cpu()->index;
	u64 last = 0, end;

	wrmsr(MSR_KVM_STEAL_TIME, (u64)&records[index] | ENABLED);
	outb(PORT_POST, 0); /* KVM writes when the CPU enters the guest */
	look(&last);
	atomic_inc(&ready);
	while (READ_ONCE(ready) < CPUS)
		pause();
	for (end = deadline_ms(arg_u64("busy", 50)); rdtsc() < end;)
		look(&last);
	atomic_inc(&done);
}

static void counted(void)
{
	smp_start(work);
	work();
	check(WAIT_FOR(READ_ONCE(done) == CPUS, SLOW_MS));
	check_equal(wrong, 0);
	for (u32 i = 0; i < CPUS; i++) {
		check(records[i].version && !(records[i].version & 1));
		check(all_zero(records[i].pad, sizeof(records[i].pad)));
	}
}

static void told(void)
{
	for (u32 i = 0; i < CPUS; i++)
		printf("# steal %u %lu\n", cpu_at(i)->apic_id, steal_of(&records[i]));
	printf("# told\n");
	while (arg_flag("wait"))
		irq_on_halt();
}

/* Switched off, a record stays as it is. */
static void switched_off(void)
{
	struct record before;

	wrmsr(MSR_KVM_STEAL_TIME, 0);
	outb(PORT_POST, 0);
	before = records[0];
	for (u64 end = deadline_ms(20); rdtsc() < end;)
		outb(PORT_POST, 0);
	check_equal(records[0].version, before.version);
	check_equal(records[0].steal, before.steal);
}

const struct test tests[] = {
	{ "offered", offered }, { "reserved-bits", reserved_bits }, { "counted", counted },
	{ "told", told },	{ "switched-off", switched_off },   {},
};
