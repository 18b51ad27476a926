// SPDX-License-Identifier: Apache-2.0
// What goes wrong where a hypervisor is put together from KVM's parts.
#include "xen.h"

/* Arguments are linear addresses: their pages need not be neighbours. */
void two_pages(void)
{
	u8 *edge = pages[3] - 2;
	u32 port = bind_ipi(0);

	__builtin_memcpy(edge, &port, sizeof(port));
	check_equal(evtchn_op(4, edge), 0);
	check_equal(came(1, SLOW_MS), 1);
	check_equal(evtchn_op(9, edge), 0);
	close_port(port);
}

/* An event while the local APIC is off: Xen keeps it, KVM drops the message. */
void apic_off(void)
{
	u32 port = bind_ipi(0), svr = apic_read(APIC_SVR);

	apic_write(APIC_SVR, svr & ~0x100u);
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, 20), 0);
	check_equal(infos[0].pending, 1);
	apic_write(APIC_SVR, svr);
	check_equal(came(1, SLOW_MS), 1); /* without another event, or a call */
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, SLOW_MS), 1);
	close_port(port);
}

#define WIRE 20 /* a pin that nobody has */
#define VEC_WIRE 0x62
#define LEVEL (1u << 15)

static u32 blind; /* upcalls in which the guest does not look */

static void on_wire(struct frame *f)
{
	(void)f;
	if (blind)
		blind--;
	else
		take(&infos[0]);
	atomic_inc(&upcalls);
	apic_eoi();
}

/* An interrupt pin instead of a vector: up until EOI, and again while events wait. */
void wire(void)
{
	u64 via = WIRE, none = 0;
	u32 port = bind_ipi(0), i;

	irq_begin();
	trap_set(VEC_WIRE, on_wire);
	ioapic_route(WIRE, VEC_WIRE | LEVEL, apic_id());
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, 20), 0);
	check_equal(hvm_param(0, 0, &via), 0);
	check(came(1, SLOW_MS) >= 1); /* what came before */
	for (i = 0; i < 3; i++) {
		check_equal(evtchn_op(4, &port), 0);
		check(came(1, SLOW_MS) >= 1); /* once too often does no harm */
		check(!set(shared->pending, port));
	}
	blind = 2;
	check_equal(evtchn_op(4, &port), 0);
	check(came(3, SLOW_MS) >= 3);
	check(!set(shared->pending, port));
	came(1, 20);
	via = 1ull << 56 | 31 << 11; /* the first pin of device 31 */
	check_equal(hvm_param(0, 0, &via), 0);
	check_equal(hvm_param(0, 0, &none), 0);
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, 20), 0);
	take(&infos[0]);
	close_port(port);
}

static u64 system_time(const struct vcpu_time *t)
{
	u64 delta = rdtsc() - READ_ONCE(t->tsc);

	delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
	return t->system_time + (u64)((unsigned __int128)delta * t->mul >> 32);
}

static u64 second_time;

static void look_at_clock(void)
{
	second_time = infos[1].time.mul ? system_time(&infos[1].time) : 0;
}

/* INIT takes away what was set for a CPU that waited for it, KVM's clock too. */
void second_clock(void)
{
	u64 before, after;

	before = system_time(&infos[0].time);
	second_begin(look_at_clock);
	second_end();
	after = system_time(&infos[0].time);
	check(second_time + 1000000 >= before && second_time <= after + 1000000);
}

#define FLAG_TF (1ul << 8)
#define DR6_STEP (1ul << 14)
#define DR6_WHICH 0xful

static u32 debugs; /* exceptions */
static u64 causes; /* of any of them */

static void on_debug(struct frame *f)
{
	u64 dr6;

	asm volatile("mov %%dr6, %0" : "=r"(dr6));
	asm volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ul));
	causes |= dr6 & (DR6_STEP | DR6_WHICH);
	if (++debugs >= 1000)
		f->rflags &= ~FLAG_TF;
}

/* Debug exceptions that are the guest's own, wherever its calls are told by breakpoints. */
void own_debug(void)
{
	long result;

	trap_set(VEC_DB, on_debug);
	debugs = 0;
	causes = 0;
	asm volatile("pushfq; orq %0, (%%rsp); popfq; nop; pushfq; andq %1, (%%rsp); popfq" ::"i"(
			     FLAG_TF),
		     "i"(~FLAG_TF)
		     : "memory", "cc");
	check_equal(debugs, 4); /* after each instruction but the one that sets the flag */
	check_equal(causes, DR6_STEP);
	asm volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(FLAG_TF) : "memory", "cc");
	result = hypercall(XEN_VERSION, 7, 0, 0); /* right over a call */
	asm volatile("pushfq; andq %0, (%%rsp); popfq" ::"i"(~FLAG_TF) : "memory", "cc");
	check_equal(result, 4096);
	check(debugs > 8 && debugs < 1000);
	check_equal(causes, DR6_STEP);
	trap_set(VEC_DB, NULL);
}

#define EFER_NX (1ull << 11)
#define EFER_LME (1ull << 8)

/* Writes that are watched at first, for the sake of the calls' place, are refused as ever. */
void watched_msrs(void)
{
	u64 efer = rdmsr(MSR_EFER), base = rdmsr(MSR_GS_BASE);

	check_equal(wrmsr_try(MSR_EFER, efer ^ EFER_LME), VEC_GP); /* pages are on */
	check_equal(wrmsr_try(MSR_EFER, efer | 1ull << 20), VEC_GP);
	check_equal(wrmsr_try(MSR_EFER, efer | 1ull << 63), VEC_GP);
	check_equal(rdmsr(MSR_EFER), efer);
	check_equal(wrmsr_try(MSR_EFER, efer ^ EFER_NX), NO_FAULT);
	check_equal(rdmsr(MSR_EFER), efer ^ EFER_NX);
	check_equal(wrmsr_try(MSR_EFER, efer), NO_FAULT);
	if (arg_flag(
		    "watched")) /* others write it without KVM, and not all processors are strict */
		check_equal(wrmsr_try(MSR_GS_BASE, 1ull << 63), VEC_GP);
	check_equal(rdmsr(MSR_GS_BASE), base);
	check_equal(wrmsr_try(MSR_GS_BASE, 0x1234), NO_FAULT);
	check_equal(rdmsr(MSR_GS_BASE), 0x1234);
	wrmsr(MSR_GS_BASE, base);
}
