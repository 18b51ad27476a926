// SPDX-License-Identifier: Apache-2.0
// The vCPU run loop: accesses are dispatched here, events that concern the VM's fate return to
// Python.
//
// vcpu_run() is called on the vCPU's own thread. Everything else here may be called from any
// thread. A kick is never lost: the request is stored before kvm_run.immediate_exit, which the loop
// clears before it collects requests, and the signal ends a KVM_RUN that had already begun.
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <linux/kvm.h>

#include "base.h"
#include "bus.h"
#include "hist.h"
#include "kvmwait.h"
#include "trace.h"

struct ioapic;
struct pic;
struct vcpu;

enum vcpu_event_kind {
	VCPU_KICKED = 1, // vcpu_kick(): commands are waiting
	VCPU_DEVICE, // a device asks: code is an enum dev_event
	VCPU_SHUTDOWN, // triple fault
	VCPU_SYSTEM_EVENT,
	VCPU_HLT, // without an in-kernel LAPIC only
	VCPU_DEBUG,
	VCPU_XEN,
	VCPU_MSR, // a read or write of an MSR that Python filters
	VCPU_INTERNAL_ERROR,
	VCPU_FAIL_ENTRY,
	VCPU_UPCALL_FAILED, // the exception is parked on the Python device
	VCPU_RUN_FAILED, // KVM_RUN itself; code is -errno
	VCPU_INJECT_FAILED, // KVM_SET_VCPU_EVENTS; code is -errno
	VCPU_WOKEN, // INIT came, before the vCPU runs (only with a hypervisor of its own)
	VCPU_UNKNOWN, // an exit reason we do not know
};

struct vcpu_event {
	uint32_t kind;
	uint32_t exit_reason; // KVM_EXIT_*
	int64_t code;
	uint64_t address, value;
	uint32_t size;
};

// What all vCPUs of a VM share.
struct vmcore {
	struct kvmwait wait; // holds the VM descriptor
	struct bus *pio, *mmio;
	struct pic *pic; // split irqchip only
	struct ioapic *ioapic; // split irqchip only
	struct vcpu *boot_vcpu; // the first one made; takes the PIC's interrupts

	// The coalesced ring is one per VM, filled by any vCPU; draining it is serialized so that
	// writes reach the devices in the order in which the guest made them.
	pthread_mutex_t ring_lock;
	struct kvm_coalesced_mmio_ring *ring; // no_ring if there is none
	uint32_t ring_max;
	_Alignas(8) uint32_t no_ring[2]; // its indices: nothing is ever queued
	struct bus_reader ring_pio, ring_mmio;
	// Port + 1 of the device that bus_settle() is due for, 0 for none.
	_Atomic uint64_t unsettled;
	struct vcpu_event asked; // in answer to a queued write; kind 0: nothing
	uint64_t coalesced;
	struct hist coalesced_hist;
};

#define VCPU_REASONS 64

struct vcpu_counters {
	uint64_t interrupted; // returns of KVM_RUN because of a signal
	uint64_t returns; // returns of vcpu_run() to Python
	uint64_t injected; // interrupts of the split irqchip's PIC
	uint64_t coalesced; // queued writes this vCPU drained
	// Returns that carried an exit, by KVM_EXIT_*; the last one collects larger numbers.
	uint64_t reason[VCPU_REASONS];
};

enum vcpu_request {
	VCPU_REQUEST_COMMANDS = 1, // return to Python
	VCPU_REQUEST_INTERRUPT = 2, // the PIC's output changed
	VCPU_REQUEST_DEVICE = 4, // a device asks for something in answer to a queued write
	VCPU_REQUEST_WAKE = 8, // the hypervisor's: what the vCPU waits for has come
};

struct vcpu_hypercall;

// How hypercalls are made that KVM does not tell apart from other exits (xenus.h).
struct hypervisor_ops {
	// The last exit was one. 0: it is answered; 1: return *ret to Python.
	int (*hypercall)(struct vcpu *v, struct vcpu_event *ret);
	int (*debug)(struct vcpu *v, struct vcpu_event *ret); // a debug exit; as above
	void (*get)(struct vcpu *v, struct vcpu_hypercall *ret);
	void (*answer)(struct vcpu *v, int64_t result);
	void (*wake)(struct vcpu *v); // VCPU_REQUEST_WAKE
};

struct vcpu {
	int fd;
	uint32_t id;
	struct vmcore *vm;
	struct kvm_run *run;
	uint32_t run_size;
	struct bus_reader pio, mmio;
	_Atomic uint32_t requests;
	// Guards tid: a thread is signalled only while it is inside vcpu_run().
	pthread_mutex_t thread_lock;
	int tid;
	struct kvmwait_vcpu wake;
	// The last exit's access is not complete yet, or registers were written since: KVM_RUN must
	// be entered before they are read or an interrupt goes in. An access sets it, any other
	// return of KVM_RUN clears it.
	bool stale;
	uint64_t first_entry_ns; // CLOCK_MONOTONIC, 0 before the first KVM_RUN
	struct vcpu_counters counters;
	struct trace trace;
	struct hist hist;
	const struct hypervisor_ops *hypervisor_ops; // NULL: hypercalls are KVM's
	void *hypervisor; // theirs
	bool (*xen_answer)(struct vcpu *v); // KVM_EXIT_XEN: true if it is answered; NULL: none is
	void *xen_answerer; // its own
};

struct vmcore *vmcore_create(int vm_fd, struct bus *pio, struct bus *mmio);
static inline struct kvm_coalesced_mmio_ring *vmcore_no_ring(struct vmcore *vm)
{
	_Static_assert(sizeof(struct kvm_coalesced_mmio_ring) == sizeof(vm->no_ring),
		       "two indices");
	return (struct kvm_coalesced_mmio_ring *)vm->no_ring;
}
void vmcore_destroy(struct vmcore *vm);
// vCPUs of this machine may sleep inside the guest (SCHEDOP_poll). Before any thread begins.
void vmcore_polls(struct vmcore *vm);
// An ioctl of the VM for which KVM waits for its vCPUs (kvmwait.h). 0 or more, or -errno.
int vmcore_ioctl(struct vmcore *vm, unsigned long request, void *argument);
// NULL, NULL disconnects them. No vCPU may be running.
void vmcore_set_split_irqchip(struct vmcore *vm, struct pic *pic, struct ioapic *ioapic);
// Whether coalesced writes wait in the ring.
static inline bool vmcore_queued(struct vmcore *vm)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;

	return __atomic_load_n(&ring->first, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
}
// Hands queued coalesced writes to their devices; returns how many there were.
uint32_t vmcore_drain(struct vmcore *vm);
// What a device asked for in answer to one of them, once.
bool vmcore_asked(struct vmcore *vm, struct vcpu_event *ret);
// The same for a vCPU that handles an exit: it calls vmcore_settle() when it has done so.
uint32_t vmcore_take(struct vmcore *vm);
static inline void vmcore_settle(struct vmcore *vm, struct bus_reader *r)
{
	uint64_t port;

	if (unlikely(atomic_load_explicit(&vm->unsettled, memory_order_relaxed)) &&
	    (port = atomic_exchange(&vm->unsettled, 0)))
		bus_settle(vm->pio, r, port - 1);
}

// Maps kvm_run. fd stays the caller's. ring_page: KVM_CAP_COALESCED_MMIO's value, 0 for none.
// NULL with errno set.
struct vcpu *vcpu_create(struct vmcore *vm, int fd, uint32_t id, uint32_t run_size,
			 uint32_t ring_page);
void vcpu_destroy(struct vcpu *v);
// ioctl(fd, KVM_RUN, 0) without the C library's wrapper, which would cost as much as finding the
// device. 0 or -errno. A unit of its own, so that tests can stand in for KVM.
int vcpu_enter(int fd);
// Runs until an event. 0, or -EBUSY when another thread is inside.
int vcpu_run(struct vcpu *v, struct vcpu_event *ret);
// Lets KVM finish the access of the last exit without running the guest, so that registers may be
// read or written. Own thread only. True: *ret is an event on the way, as from vcpu_run() (the
// access may have a second half, at another device); again until it is false.
bool vcpu_complete_io(struct vcpu *v, struct vcpu_event *ret);
// Inside vcpu_run(), off its hot path. 0: go on; 1: return *ret to Python.
// An access answered with `result`: what the device asks for, or that an upcall failed.
int vcpu_device_asks(struct vcpu *v, const struct trace_record *t, int result,
		     struct vcpu_event *ret);
// Every exit but an access.
int vcpu_other_exit(struct vcpu *v, uint32_t reason, struct trace_record *t,
		    struct vcpu_event *ret);
// The PIC's interrupt, if the guest can take it now; else asks for an exit when it can. 1: failed,
// return *ret to Python. Context: inside vcpu_run() of the boot vCPU of a machine with a split
// irqchip: the PIC is wired to its LINT0.
int vcpu_inject_pic(struct vcpu *v, struct vcpu_event *ret);
// The MSR access of the last exit ends in #GP. Own thread, before the next run.
void vcpu_refuse_msr(struct vcpu *v);
void vcpu_kick(struct vcpu *v, uint32_t request);

// What KVM said of the last exit, if it was an internal error, a failed entry or a system event.
struct vcpu_failure {
	uint32_t suberror, ndata; // KVM_EXIT_INTERNAL_ERROR; KVM_EXIT_SYSTEM_EVENT: type
	uint64_t data[16];
	uint64_t entry_reason; // KVM_EXIT_FAIL_ENTRY: hardware_entry_failure_reason
};
void vcpu_failure(struct vcpu *v, struct vcpu_failure *ret);

// The hypercall of the last exit, VCPU_XEN. All of it is the guest's.
struct vcpu_hypercall {
	uint64_t number, params[6];
	uint32_t longmode, cpl;
};
void vcpu_hypercall(struct vcpu *v, struct vcpu_hypercall *ret);
// What the guest finds in RAX. Own thread, before the next run.
void vcpu_hypercall_result(struct vcpu *v, int64_t result);

// The kick signal's empty handler, once per process. 0 or -errno.
int vcpu_kick_signal_init(void);
// The calling thread is the vCPU's from here on. 0 or -errno.
int vcpu_thread_begin(struct vcpu *v);
// Blocks every signal but the kick on the calling thread.
void vcpu_thread_mask_signals(void);

#endif
