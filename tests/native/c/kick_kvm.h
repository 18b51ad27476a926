// SPDX-License-Identifier: Apache-2.0
// A guest, its device, and ioctl() in KVM's place, for a storm of kicks. The vCPU's units are
// included here, with pauses between their steps.
//
// The stand-in keeps KVM_RUN's contract (Documentation/virt/kvm/api.rst, "immediate_exit"): a
// signal that comes before the call is gone, one that comes during it ends it, and immediate_exit
// is looked at once, on the way in, when the last access is complete. An access may have a second
// half, which is an exit of its own. An interrupt that is put into the vCPU's events is delivered
// by an entry; it may be put there only while none waits and no access is open, and does not wake a
// halted vCPU.
#ifndef KICK_KVM_H
#define KICK_KVM_H

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "pic.h"

// Every atomic step of the run loop and of the kick may be followed by a pause, so that the moments
// between two steps are long enough to be hit.
static void pause_sometimes(void)
{
	static _Thread_local unsigned int seed = 1;

	if (rand_r(&seed) % 8 == 0)
		sched_yield();
	else if (rand_r(&seed) % 16 == 0)
		usleep(20);
}

#undef atomic_fetch_or
#undef atomic_exchange
#define atomic_fetch_or(object, bits)                                                              \
	(pause_sometimes(), atomic_fetch_or_explicit(object, bits, memory_order_seq_cst))
#define atomic_exchange(object, value)                                                             \
	(pause_sometimes(), atomic_exchange_explicit(object, value, memory_order_seq_cst))
#define __atomic_store_n(object, value, order)                                                     \
	(pause_sometimes(), __atomic_store_n(object, value, order))
#include "vcpu.c"
#include "vcpu_inject.c"
#include "vcpu_life.c"
#undef atomic_fetch_or
#undef atomic_exchange
#undef __atomic_store_n

#define RUN_BYTES (3 * 4096)
#define DATA_OFFSET (2 * 4096)
#define PORT 0x60
#define IRQ 3
#define VECTORS 0x20

static struct vcpu *vcpu;
static struct vmcore *core;
static struct pic *pic;
static _Atomic uint64_t posted, served; // commands
static _Atomic uint64_t delivered; // interrupts
static _Atomic bool done, busy; // busy: devices act too
// The vCPU thread's.
static uint64_t waits, exits, halves, own_kicks;
static uint64_t asked, told; // events: of the device, and those that came out
static unsigned int guest_seed = 7;

// --- the guest and its device

static int port_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size;
	*ret = 0;
	return 0;
}

// Some writes ask for something: vcpu_run() returns with the access still to be completed. Some
// kick the vCPU from its own thread, as a device does that queues a command.
static int port_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size;
	if (!atomic_load(&busy))
		return 0;
	if (value % 64 == 1) {
		atomic_fetch_add(&posted, 1);
		vcpu_kick(vcpu, VCPU_REQUEST_COMMANDS);
		own_kicks++;
	}
	if (value % 4)
		return 0;
	asked++;
	return DEV_EVENT_MARK;
}

static const struct dev_ops port_ops = { .read = port_read, .write = port_write };

// --- KVM

static struct {
	bool halted;
	bool access_open; // its completion is the next entry's
	bool event; // an interrupt waits for the next entry
} kvm;

static void access_exit(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = rand_r(&guest_seed) % 2 ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = 1;
	run->io.count = 1;
	run->io.port = PORT;
	run->io.data_offset = DATA_OFFSET;
	((uint8_t *)run)[DATA_OFFSET] = (uint8_t)rand_r(&guest_seed);
	kvm.access_open = true;
}

static int interrupted(void)
{
	errno = EINTR;
	return -1;
}

// Runs the guest until it makes an exit or a signal that is in `unblocked` comes.
static int run_guest(struct kvm_run *run, const sigset_t *unblocked)
{
	// Half of the kicks find a guest that mostly waits, half one that exits all the time.
	int patience = atomic_load(&served) % 2 ? 4 : 4096;

	if (kvm.event && !kvm.halted) {
		kvm.event = false;
		atomic_fetch_add(&delivered, 1);
	}
	kvm.halted = kvm.halted || rand_r(&guest_seed) % patience == 0;
	if (kvm.halted && !run->request_interrupt_window) {
		waits++;
		ppoll(NULL, 0, NULL, unblocked);
		kvm.halted = rand_r(&guest_seed) % 2; // else its own timer woke it
		return interrupted();
	}
	exits++;
	if (run->request_interrupt_window)
		run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
	else
		access_exit(run);
	return 0;
}

static int kvm_run(struct kvm_run *run)
{
	bool was_open = kvm.access_open;
	sigset_t all, before;
	int result;

	sigfillset(&all);
	// From here on a signal waits, as in the kernel.
	pthread_sigmask(SIG_SETMASK, &all, &before);
	kvm.access_open = false;
	if (was_open && rand_r(&guest_seed) % 8 == 0) {
		halves++;
		access_exit(run);
		result = 0;
	} else if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) {
		result = interrupted();
	} else {
		result = run_guest(run, &before);
	}
	int err = errno;
	run->ready_for_interrupt_injection = !kvm.event;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return result;
}

static int set_events(const struct kvm_vcpu_events *events)
{
	CHECK(events->interrupt.injected && events->interrupt.nr == VECTORS + IRQ);
	CHECK(!kvm.event && !kvm.access_open);
	kvm.event = true;
	return 0;
}

static int set_mp_state(const struct kvm_mp_state *mp)
{
	CHECK(kvm.halted && mp->mp_state == KVM_MP_STATE_RUNNABLE);
	kvm.halted = false;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;

	(void)fd;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	switch (request) {
	case KVM_RUN:
		return kvm_run(vcpu->run);
	case KVM_GET_NESTED_STATE:
		return 0; // not nested
	case KVM_GET_VCPU_EVENTS:
		memset(argument, 0, sizeof(struct kvm_vcpu_events));
		return 0;
	case KVM_SET_VCPU_EVENTS:
		return set_events(argument);
	case KVM_GET_MP_STATE:
		((struct kvm_mp_state *)argument)->mp_state =
			kvm.halted ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
		return 0;
	case KVM_SET_MP_STATE:
		return set_mp_state(argument);
	default:
		errno = ENOTTY;
		return -1;
	}
}

int vcpu_enter(int fd)
{
	return ioctl(fd, KVM_RUN, 0) ? -errno : 0;
}

#endif
