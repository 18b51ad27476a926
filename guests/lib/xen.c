// SPDX-License-Identifier: Apache-2.0
#include "xen.h"

struct shared_info *shared;
bool by_hand;
struct vcpu_info infos[2] __attribute__((aligned(64)));
u8 pages[4][4096] __attribute__((aligned(4096)));
u32 others, upcalls;

/* As kernels have them: the one place for each vendor. */
asm(".globl call_amd, call_intel\n"
    "	.balign 32\n"
    "call_amd: vmmcall\n"
    "	ret\n"
    "	.balign 32\n"
    "call_intel: vmcall\n"
    "	ret\n");
extern const u8 call_amd[], call_intel[];

const u8 *hypercall_site(void)
{
	return cpuid(0, 0).ecx == 0x444d4163 ? call_amd : call_intel; /* "cAMD" */
}

long hypercall6(u64 number, const u64 arguments[6])
{
	register u64 fourth asm("r10") = arguments[3];
	register u64 fifth asm("r8") = arguments[4];
	register u64 sixth asm("r9") = arguments[5];
	u64 a = arguments[0], b = arguments[1], c = arguments[2];
	long result;

	asm volatile("call *%[site]"
		     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth), "+r"(fifth),
		       "+r"(sixth)
		     : "a"(number), [site] "r"(hypercall_site())
		     : "memory");
	return result;
}

long hypercall(u64 number, u64 a, u64 b, u64 c)
{
	const u64 arguments[6] = { a, b, c };

	return hypercall6(number, arguments);
}

long map_shared(void *page)
{
	struct {
		u16 domid, size;
		u32 space;
		u64 index, frame;
	} where = { DOMID_SELF, 0, 0, 0, (u64)page / 4096 };
	long err = hypercall(MEMORY_OP, 7, (u64)&where, 0);

	if (!err)
		shared = page;
	return err;
}

long place_info(u32 vcpu, u64 address)
{
	struct {
		u64 frame;
		u32 offset, reserved;
	} where = { address / 4096, address % 4096, 0 };

	return hypercall(VCPU_OP, 10, vcpu, (u64)&where);
}

void xen_begin(void)
{
	by_hand = arg_lists("backend", "userspace");
	check_equal(map_shared(pages[0]), 0);
	irq_begin();
	trap_set(VEC_GLOBAL, on_upcall_global);
	trap_set(VEC_CPU, on_upcall);
	for (u32 i = 0; i < 2; i++) {
		check_equal(place_info(i, (u64)&infos[i]), 0);
		use_vector(i, VEC_CPU);
	}
}

long hvm_param(u32 op, u32 index, u64 *value)
{
	struct {
		u16 domid, pad;
		u32 index;
		u64 value;
	} param = { DOMID_SELF, 0, index, *value };
	long err = hypercall(HVM_OP, op, (u64)&param, 0);

	*value = param.value;
	return err;
}

u64 xen_now(void)
{
	u64 now = 0;

	check_equal(hypercall(HVM_OP, 10, (u64)&now, 0), 0);
	return now;
}

u32 bind_ipi(u32 vcpu)
{
	u32 argument[2] = { vcpu, 0 };

	check_equal(evtchn_op(7, argument), 0);
	/* The mask is the guest's own: what was there before stays. */
	__atomic_fetch_and(&shared->mask[argument[1] / 64], ~(1ull << argument[1] % 64),
			   __ATOMIC_SEQ_CST);
	return argument[1];
}

void mask(u32 port)
{
	__atomic_fetch_or(&shared->mask[port / 64], 1ull << port % 64, __ATOMIC_SEQ_CST);
}

void close_port(u32 port)
{
	check_equal(evtchn_op(3, &port), 0);
}

/* Takes the byte, the selector and every bit. */
void take(struct vcpu_info *info)
{
	u64 words, bits;

	__atomic_store_n(&info->pending, 0, __ATOMIC_SEQ_CST);
	words = __atomic_exchange_n(&info->selector, 0, __ATOMIC_SEQ_CST);
	for (; words; words &= words - 1) {
		u32 at = (u32)__builtin_ctzll(words);

		bits = READ_ONCE(shared->pending[at]) & ~READ_ONCE(shared->mask[at]);
		__atomic_fetch_and(&shared->pending[at], ~bits, __ATOMIC_SEQ_CST);
	}
}

void on_upcall_global(struct frame *f)
{
	(void)f;
	take(&infos[0]);
	atomic_inc(&upcalls);
}

void on_upcall(struct frame *f)
{
	(void)f;
	take(&infos[this_cpu()->index]);
	atomic_inc(this_cpu()->index ? &others : &upcalls);
	apic_eoi();
}

u32 came(u32 wanted, u32 ms)
{
	irq_on();
	WAIT_FOR(READ_ONCE(upcalls) >= wanted, ms);
	irq_off();
	return __atomic_exchange_n(&upcalls, 0, __ATOMIC_SEQ_CST);
}

void use_vector(u32 vcpu, u8 vector)
{
	struct {
		u32 vcpu;
		u8 vector, pad[3];
	} upcall = { vcpu, vector, {} };

	check_equal(hypercall(HVM_OP, 23, (u64)&upcall, 0), 0);
}

static void (*job)(void);

static void worker(void)
{
	void (*todo)(void);

	trap_load();
	for (;;) {
		while (!(todo = READ_ONCE(job)))
			pause();
		todo();
		WRITE_ONCE(job, NULL);
	}
}

void second_begin(void (*todo)(void))
{
	static bool started;

	WRITE_ONCE(job, todo);
	if (!started)
		smp_start(worker);
	started = true;
}

void second_end(void)
{
	check(WAIT_FOR(!READ_ONCE(job), 3 * SLOW_MS));
}
