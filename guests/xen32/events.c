// SPDX-License-Identifier: Apache-2.0
// Event channels with 32 words of 32 bits; looked at, but for the last of these tests.
#include "narrow.h"

#define PORTS 1024
#define VEC_UPCALL 0x61
#define LAPIC 0xfee00000u
#define CODE 0x08

u32 upcalls;

void all_ports(void)
{
	u32 argument[2] = { 0, 0 }, n = 0, last = 0;
	u16 self = DOMID_SELF;
	long err;

	while (!(err = evtchn_op(7, argument)) && n < 5000) {
		n++;
		last = argument[1];
	}
	CHECK_ERROR(err, ENOSPC);
	check_equal(last, PORTS - 1);
	check_equal(evtchn_op(4, &last), 0);
	check(set(shared->pending, last));
	last = PORTS; /* what a 64-bit guest would have */
	CHECK_ERROR(evtchn_op(4, &last), EINVAL);
	check_equal(evtchn_op(10, &self), 0);
	for (u32 i = 0; i < 32; i++)
		check_equal(shared->pending[i], 0);
}

static void forget(void)
{
	own.pending = 0;
	own.selector = 0;
	for (u32 i = 0; i < 32; i++)
		shared->pending[i] = 0;
}

void masked(void)
{
	u32 port = bind_ipi();

	forget();
	check_equal(evtchn_op(4, &port), 0);
	check(set(shared->pending, port));
	check_equal(own.pending, 0); /* it is masked from the start */
	check_equal(own.selector, 0);
	check_equal(evtchn_op(9, &port), 0);
	check(!set(shared->mask, port));
	check_equal(own.pending, 1);
	check_equal(own.selector, 1u << port / 32);
	close_port(port);
	check(!set(shared->pending, port));
}

/* One bit of the selector for each 32 ports, from the lowest to the highest. */
void order(void)
{
	static u32 ports[PORTS];
	u32 argument[2] = { 0, 0 }, n = 0, want = 0;

	while (n < 700 && !evtchn_op(7, argument)) {
		ports[n++] = argument[1];
		unmask(argument[1]);
	}
	check_equal(n, 700);
	forget();
	for (u32 i = 0; i < n; i += 99) {
		check_equal(evtchn_op(4, &ports[i]), 0);
		check_equal(evtchn_op(4, &ports[i]), 0); /* twice is once */
		want |= 1u << ports[i] / 32;
		check_equal(shared->pending[ports[i] / 32], 1u << ports[i] % 32);
	}
	check_equal(own.selector, want);
	check_equal(own.pending, 1);
	while (n)
		close_port(ports[--n]);
	forget();
}

/* System time in two registers, and a structure that is shorter than elsewhere. */
void timers(void)
{
	u32 bind[3] = { 0, 0, 0 };
	struct {
		u64 when;
		u32 flags;
	} shot = { 0, 0 };
	u64 when;

	check_equal(evtchn_op(1, bind), 0);
	forget();
	when = now() + 20000000;
	check_equal(hypercall(SET_TIMER_OP, (u32)when, (u32)(when >> 32), 0), 0);
	check(WAIT_FOR(set(shared->pending, bind[2]), SLOW_MS));
	check(now() >= when);
	forget();
	shot.when = now() + 20000000;
	check_equal(hypercall(VCPU_OP, 8, 0, ADDRESS(&shot)), 0);
	check(WAIT_FOR(set(shared->pending, bind[2]), SLOW_MS));
	check(now() >= shot.when);
	close_port(bind[2]);
	forget();
}

void polls(void)
{
	u32 port = bind_ipi();
	struct {
		u32 ports, count;
		u64 timeout;
	} argument = { ADDRESS(&port), 1, 0 };

	argument.timeout = now() + 5000000;
	check_equal(hypercall(SCHED_OP, 3, ADDRESS(&argument), 0), 0); /* nothing comes */
	check(now() >= argument.timeout);
	check_equal(evtchn_op(4, &port), 0);
	argument.timeout = 0;
	check_equal(hypercall(SCHED_OP, 3, ADDRESS(&argument), 0), 0);
	argument.count = 129;
	CHECK_ERROR(hypercall(SCHED_OP, 3, ADDRESS(&argument), 0), EINVAL);
	argument.count = 1;
	argument.ports = 0xfffffffe;
	CHECK_ERROR(hypercall(SCHED_OP, 3, ADDRESS(&argument), 0), EFAULT);
	close_port(port);
	forget();
}

void on_upcall(void);
void on_upcall(void)
{
	own.pending = 0;
	own.selector = 0;
	upcalls++;
	write32(LAPIC + 0xb0, 0);
}

extern void upcall_entry(void);

void upcall(void)
{
	static struct {
		u16 low, selector;
		u8 zero, type;
		u16 high;
	} idt[256] __attribute__((aligned(8)));
	struct {
		u16 limit;
		u32 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, ADDRESS(idt) };
	struct {
		u32 vcpu;
		u8 vector, pad[3];
	} vector = { 0, VEC_UPCALL, {} };
	u32 entry = ADDRESS(upcall_entry), port = bind_ipi();

	idt[VEC_UPCALL].low = (u16)entry;
	idt[VEC_UPCALL].high = (u16)(entry >> 16);
	idt[VEC_UPCALL].selector = CODE;
	idt[VEC_UPCALL].type = 0x8e;
	asm volatile("lidt %0" ::"m"(pointer) : "memory");
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	write32(LAPIC + 0xf0, 0x1ff);
	forget();
	unmask(port);
	check_equal(hypercall(HVM_OP, 23, ADDRESS(&vector), 0), 0);
	for (u32 i = 1; i <= 3; i++) {
		shared->pending[port / 32] = 0;
		check_equal(evtchn_op(4, &port), 0);
		irq_on();
		check(WAIT_FOR(READ_ONCE(upcalls) == i, SLOW_MS));
		irq_off();
	}
	close_port(port);
}
