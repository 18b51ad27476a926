// SPDX-License-Identifier: Apache-2.0
// The run loop: entering the guest and dispatching its accesses.
#define _GNU_SOURCE
#include "vcpu.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

HOT uint64_t load(const uint8_t *data, uint64_t size)
{
	uint16_t word;
	uint32_t dword;

	switch (size) {
	case 1:
		return *data;
	case 2:
		memcpy(&word, data, sizeof(word));
		return word;
	default:
		memcpy(&dword, data, sizeof(dword));
		return dword;
	}
}

// Returns what was stored.
HOT uint64_t store(uint8_t *data, uint64_t size, uint64_t value)
{
	uint16_t word = (uint16_t)value;
	uint32_t dword = (uint32_t)value;

	switch (size) {
	case 1:
		return *data = (uint8_t)value;
	case 2:
		memcpy(data, &word, sizeof(word));
		return word;
	default:
		memcpy(data, &dword, sizeof(dword));
		return dword;
	}
}

// A port access of several items: KVM hands over string instructions in batches.
static COLD int handle_string(struct vcpu *v, struct trace_record *t)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t size = run->io.size, port = run->io.port;
	int result = 0;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		int err;
		if (t->flags & TRACE_WRITE) {
			t->value = load(data, size);
			err = bus_write_masked(v->vm->pio, &v->pio, port, size, t->value);
		} else {
			err = bus_read_unmasked(v->vm->pio, &v->pio, port, size, &t->value);
			t->value = store(data, size, t->value);
		}
		result = result ? result : err;
	}
	return result;
}

_Static_assert(KVM_EXIT_IO_OUT == TRACE_WRITE && KVM_EXIT_IO_OUT == HIST_PIO_WRITE - HIST_PIO_READ,
	       "KVM's direction is our flag, and tells the two histograms apart");

HOT int handle_pio(struct vcpu *v, struct kvm_run *run, struct trace_record *t)
{
	uint64_t size = run->io.size, port = run->io.port, direction = run->io.direction;

	v->stale = true;
	t->address = port;
	t->size = (uint16_t)size;
	hist_add(&v->hist, HIST_PIO_READ + direction, port);
	t->flags = (uint16_t)direction;
	if (unlikely(run->io.count != 1))
		return handle_string(v, t);
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	if (direction == KVM_EXIT_IO_OUT) {
		t->value = load(data, size);
		return bus_write_masked(v->vm->pio, &v->pio, port, size, t->value);
	}
	int err = bus_read_unmasked(v->vm->pio, &v->pio, port, size, &t->value);
	t->value = store(data, size, t->value);
	return err;
}

HOT int handle_mmio(struct vcpu *v, struct kvm_run *run, struct trace_record *t)
{
	uint64_t address = run->mmio.phys_addr;
	uint32_t size = run->mmio.len;

	v->stale = true;
	t->address = address;
	t->size = (uint16_t)size;
	if (run->mmio.is_write) {
		t->flags = TRACE_WRITE;
		hist_add(&v->hist, HIST_MMIO_WRITE, address);
		memcpy(&t->value, run->mmio.data, sizeof(t->value));
		return bus_write(v->vm->mmio, &v->mmio, address, size, t->value);
	}
	t->flags = 0;
	hist_add(&v->hist, HIST_MMIO_READ, address);
	int err = bus_read(v->vm->mmio, &v->mmio, address, size, &t->value);
	memcpy(run->mmio.data, &t->value, sizeof(t->value));
	return err;
}

// One exit. 0: go on; 1: return *ret to Python.
HOT int handle_exit(struct vcpu *v, struct kvm_run *run, struct vcpu_event *ret)
{
	uint32_t reason = run->exit_reason;
	struct trace_record *t = trace_next(&v->trace);
	int result;

	t->tsc = trace_tsc();
	t->reason = reason;
	if (likely(reason == KVM_EXIT_IO)) {
		v->counters.reason[KVM_EXIT_IO]++;
		result = handle_pio(v, run, t);
	} else if (likely(reason == KVM_EXIT_MMIO)) {
		v->counters.reason[KVM_EXIT_MMIO]++;
		result = handle_mmio(v, run, t);
	} else {
		v->counters.reason[reason < VCPU_REASONS ? reason : VCPU_REASONS - 1]++;
		return vcpu_other_exit(v, reason, t, ret);
	}
	return likely(!result) ? 0 : vcpu_device_asks(v, t, result, ret);
}

// What vcpu_kick() asked for. True: return *ret to Python.
static COLD bool requested(struct vcpu *v, struct vcpu_event *ret)
{
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	uint32_t requests = atomic_exchange(&v->requests, 0);

	if ((requests & VCPU_REQUEST_WAKE) && v->hypervisor_ops)
		v->hypervisor_ops->wake(v);
	if ((requests & VCPU_REQUEST_DEVICE) && vmcore_asked(v->vm, ret)) {
		if (requests & VCPU_REQUEST_COMMANDS)
			vcpu_kick(v, VCPU_REQUEST_COMMANDS);
		return true;
	}
	*ret = (struct vcpu_event){ .kind = VCPU_KICKED };
	return requests & VCPU_REQUEST_COMMANDS;
}

// A return of KVM_RUN with -errno `err`. 0: go on.
static COLD int run_failed(struct vcpu *v, int err, struct vcpu_event *ret)
{
	v->stale = false;
	if (err == -EINTR) {
		v->counters.interrupted++;
		return 0;
	}
	if (err == -EAGAIN) { // a vCPU that waited for INIT has got it
		*ret = (struct vcpu_event){ .kind = VCPU_WOKEN };
		return v->hypervisor_ops != NULL;
	}
	*ret = (struct vcpu_event){ .kind = VCPU_RUN_FAILED,
				    .exit_reason = v->run->exit_reason,
				    .code = err };
	return 1;
}

HOT int handle_return(struct vcpu *v, int err, struct vcpu_event *ret)
{
	return likely(!err) ? handle_exit(v, v->run, ret) : run_failed(v, err, ret);
}

// Queued writes came before the exit: their devices get them first.
static __attribute__((noinline)) int drain_and_handle(struct vcpu *v, int err,
						      struct vcpu_event *ret)
{
	v->counters.coalesced += vmcore_take(v->vm);
	int stop = handle_return(v, err, ret);
	vmcore_settle(v->vm, &v->pio);
	return stop;
}

// Enters the guest once and handles what comes out of it. 0: go on; 1: return *ret to Python.
HOT int enter_once(struct vcpu *v, struct vcpu_event *ret)
{
	int err = vcpu_enter(v->fd);

	return unlikely(vmcore_queued(v->vm)) ? drain_and_handle(v, err, ret)
					      : handle_return(v, err, ret);
}

COLD bool vcpu_complete_io(struct vcpu *v, struct vcpu_event *ret)
{
	// Left set in the end: requests stored meanwhile are collected by the next vcpu_run().
	while (v->stale) {
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (enter_once(v, ret)) // the next part of an access that crosses a page
			return true;
	}
	return false;
}

// Not inlined, so that `v` is all that it must keep.
static __attribute__((noinline)) void loop_until_event(struct vcpu *v, struct vcpu_event *ret)
{
	for (;;) {
		struct vmcore *vm = v->vm;
		if (unlikely(__atomic_load_n(&v->run->immediate_exit, __ATOMIC_RELAXED)) &&
		    requested(v, ret))
			return;
		if (unlikely(vm->pic) && v == vm->boot_vcpu && unlikely(vcpu_inject_pic(v, ret)))
			return;
		if (unlikely(enter_once(v, ret)))
			return;
	}
}

int vcpu_run(struct vcpu *v, struct vcpu_event *ret)
{
	pthread_mutex_lock(&v->thread_lock);
	if (v->tid) {
		pthread_mutex_unlock(&v->thread_lock);
		return -EBUSY;
	}
	v->tid = (int)syscall(SYS_gettid);
	pthread_mutex_unlock(&v->thread_lock);
	bus_reader_bind(&v->pio);
	bus_reader_bind(&v->mmio);
	v->stale = true; // its registers may have been written since the last exit

	if (unlikely(!v->first_entry_ns)) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		v->first_entry_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	}
	loop_until_event(v, ret);
	v->counters.returns++;

	pthread_mutex_lock(&v->thread_lock);
	v->tid = 0;
	pthread_mutex_unlock(&v->thread_lock);
	return 0;
}
