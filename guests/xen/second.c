// SPDX-License-Identifier: Apache-2.0
// What takes two CPUs. The second one runs what it is given, one thing after the other.
#include "../lib/pci.h"
#include "xen.h"

static void take_ten(void)
{
	irq_on();
	WAIT_FOR(READ_ONCE(others) >= 10, 3 * SLOW_MS);
	irq_off();
}

void ipi_other(void)
{
	u32 port = bind_ipi(1), i;

	second_begin(take_ten);
	for (i = 1; i <= 10; i++) {
		check_equal(evtchn_op(4, &port), 0);
		check(WAIT_FOR(READ_ONCE(others) == i, SLOW_MS));
	}
	second_end();
	close_port(port);
}

static void set_first(void)
{
	for (u32 i = 0; i < 100; i++)
		use_vector(0, VEC_CPU);
}

/* Each sets the other's vector: neither waits for ever. */
void at_once(void)
{
	second_begin(set_first);
	for (u32 i = 0; i < 100; i++)
		use_vector(1, VEC_CPU);
	second_end();
}

static u32 poll_port, polls, released;

/* How a paravirtual spinlock waits: asleep until the owner tells. */
static void poll_until_released(void)
{
	struct {
		u32 *ports;
		u32 count;
		u64 timeout;
	} argument = { &poll_port, 1, 0 };

	while (!READ_ONCE(released)) {
		atomic_inc(&polls);
		if (hypercall(SCHED_OP, 3, (u64)&argument, 0))
			break;
	}
}

/* The domain begins anew; this CPU goes on. Last: what the others set up is gone. */
void soft_reset(void)
{
	u32 reason = 5, port = 0, i;
	struct evtchn_status status = { DOMID_SELF, 0, 0, 0, 0, {} };
	struct {
		u64 frame;
		u32 offset, reserved;
	} where = { (u64)&infos[0] / 4096, (u64)&infos[0] % 4096, 0 };
	u64 value = 7;

	for (i = 0; i < 16; i++) /* the lowest ones are the back-ends' afterwards */
		port = bind_ipi(0);
	check_equal(hypercall(SCHED_OP, 2, (u64)&reason, 0), 0);
	status.port = port;
	check_equal(evtchn_op(5, &status), 0);
	check_equal(status.status, 0);
	CHECK_ERROR(evtchn_op(4, &port), EINVAL);
	check_equal(hvm_param(1, 0, &value), 0);
	check_equal(value, 0);
	check_equal(map_shared(pages[2]), 0);
	check_equal(hypercall(VCPU_OP, 10, 0, (u64)&where), 0); /* once in each life */
	use_vector(0, VEC_CPU);
	port = bind_ipi(0);
	check_equal(evtchn_op(4, &port), 0);
	check_equal(came(1, SLOW_MS), 1);
}

static u32 spins;

static void spin(void)
{
	while (!READ_ONCE(released))
		atomic_inc(&spins);
}

/* A CPU that stands still stands still, and goes on where it was. */
void up_and_down(void)
{
	u32 seen;

	WRITE_ONCE(released, 0);
	second_begin(spin);
	check(WAIT_FOR(READ_ONCE(spins), SLOW_MS));
	check_equal(hypercall(VCPU_OP, 3, 1, 0), 1);
	check_equal(hypercall(VCPU_OP, 2, 1, 0), 0);
	check_equal(hypercall(VCPU_OP, 3, 1, 0), 0);
	check_equal(hypercall(VCPU_OP, 2, 1, 0), 0); /* still */
	seen = READ_ONCE(spins);
	delay_us(20000);
	check_equal(READ_ONCE(spins), seen);
	check_equal(hypercall(VCPU_OP, 1, 1, 0), 0);
	check(WAIT_FOR(READ_ONCE(spins) != seen, SLOW_MS));
	check_equal(hypercall(VCPU_OP, 1, 1, 0), 0);
	check_equal(hypercall(VCPU_OP, 1, 0, 0), 0);
	WRITE_ONCE(released, 1);
	second_end();
	CHECK_ERROR(hypercall(VCPU_OP, 2, 2, 0), ENOENT);
}

#define DEVICE (5 << 3) /* pci-testdev, with doorbells in both its ranges */
#define MOVES 20

/* The owner of the lock moves a device meanwhile, which takes no longer than at other times. */
void moves_while_polled(void)
{
	u32 port = bind_ipi(1), home = pci_read(DEVICE, PCI_BAR0), i, free;

	free = home ^ 0x10000;
	mask(port);
	poll_port = port;
	second_begin(poll_until_released);
	check(WAIT_FOR(READ_ONCE(polls), SLOW_MS));
	delay_us(1000); /* it sleeps by now */
	for (i = 0; i < MOVES; i++) {
		pci_write(DEVICE, PCI_BAR0, i & 1 ? home : free);
		close_port(bind_ipi(0)); /* KVM forgets of a port as of a doorbell */
	}
	WRITE_ONCE(released, 1);
	check_equal(evtchn_op(4, &port), 0);
	second_end();
	check(READ_ONCE(polls) < 1000000); /* asleep, not spinning */
	close_port(port);
}
