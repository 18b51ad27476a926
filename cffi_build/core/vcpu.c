// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "vcpu.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dev.h"
#include "ioapic.h"
#include "pic.h"

#define PAGE_BYTES 4096
// Not SIGRTMIN itself: the C library and profilers like the first ones.
#define KICK_SIGNAL (SIGRTMIN + 6)

static void kick_handler(int signal)
{
	(void)signal; // its arrival alone ends KVM_RUN
}

int vcpu_kick_signal_init(void)
{
	struct sigaction action = { .sa_handler = kick_handler };

	return sigaction(KICK_SIGNAL, &action, NULL) ? -errno : 0;
}

void vcpu_thread_mask_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

struct vcpu *vcpu_create(struct vmcore *vm, int fd, uint32_t id, uint32_t run_size,
			 uint32_t ring_page)
{
	struct vcpu *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	void *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED) {
		free(v);
		return NULL;
	}
	v->fd = fd;
	v->id = id;
	v->vm = vm;
	v->run = run;
	v->run_size = run_size;
	pthread_mutex_init(&v->thread_lock, NULL);
	if (bus_add_reader(vm->pio, &v->pio) || bus_add_reader(vm->mmio, &v->mmio)) {
		vcpu_destroy(v);
		errno = ENOSPC;
		return NULL;
	}
	if (!vm->boot_vcpu)
		vm->boot_vcpu = v;
	if (ring_page && !vm->ring && run_size >= (ring_page + 1) * PAGE_BYTES) {
		vm->ring = (void *)((uint8_t *)run + ring_page * PAGE_BYTES);
		vm->ring_max = (PAGE_BYTES - sizeof(*vm->ring)) / sizeof(struct kvm_coalesced_mmio);
	}
	return v;
}

void vcpu_destroy(struct vcpu *v)
{
	bus_remove_reader(v->vm->pio, &v->pio);
	bus_remove_reader(v->vm->mmio, &v->mmio);
	if (v->vm->boot_vcpu == v)
		v->vm->boot_vcpu = NULL;
	pthread_mutex_lock(&v->vm->ring_lock);
	uint8_t *ring = (uint8_t *)v->vm->ring;
	if (ring >= (uint8_t *)v->run && ring < (uint8_t *)v->run + v->run_size)
		v->vm->ring = NULL;
	pthread_mutex_unlock(&v->vm->ring_lock);
	munmap(v->run, v->run_size);
	pthread_mutex_destroy(&v->thread_lock);
	free(v);
}

void vcpu_kick(struct vcpu *v, uint32_t request)
{
	LOCKED(&v->thread_lock);
	atomic_fetch_or(&v->requests, request);
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (v->tid && v->tid != (int)syscall(SYS_gettid))
		syscall(SYS_tgkill, getpid(), v->tid, KICK_SIGNAL);
}

HOT uint64_t load(const uint8_t *data, uint32_t size)
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

HOT void store(uint8_t *data, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*data = (uint8_t)value;
		break;
	case 2:
		memcpy(data, &value, 2);
		break;
	default:
		memcpy(data, &value, 4);
	}
}

// A port access of several items: KVM hands over string instructions in batches.
static COLD int handle_string(struct vcpu *v, struct trace_record *t, bool out)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t size = run->io.size, port = run->io.port;
	int result = 0;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		int err;
		if (out) {
			t->value = load(data, size);
			err = bus_write(v->vm->pio, &v->pio, port, size, t->value);
		} else {
			err = bus_read(v->vm->pio, &v->pio, port, size, &t->value);
			store(data, size, t->value);
		}
		result = result ? result : err;
	}
	return result;
}

HOT int handle_pio(struct vcpu *v, struct kvm_run *run, struct trace_record *t)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t size = run->io.size, port = run->io.port;

	v->io_pending = true;
	t->address = port;
	t->size = (uint16_t)size;
	if (run->io.direction == KVM_EXIT_IO_OUT) {
		t->flags = TRACE_WRITE;
		hist_add(&v->hist, HIST_PIO_WRITE, port);
		if (unlikely(run->io.count != 1))
			return handle_string(v, t, true);
		t->value = load(data, size);
		return bus_write(v->vm->pio, &v->pio, port, size, t->value);
	}
	t->flags = 0;
	hist_add(&v->hist, HIST_PIO_READ, port);
	if (unlikely(run->io.count != 1))
		return handle_string(v, t, false);
	int err = bus_read(v->vm->pio, &v->pio, port, size, &t->value);
	store(data, size, t->value);
	return err;
}

HOT int handle_mmio(struct vcpu *v, struct kvm_run *run, struct trace_record *t)
{
	uint64_t address = run->mmio.phys_addr;
	uint32_t size = run->mmio.len;

	v->io_pending = true;
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

// What a device asks for, or that an upcall failed.
static COLD int device_event(struct vcpu *v, const struct trace_record *t, int result,
			     struct vcpu_event *ret)
{
	ret->kind = result > 0 ? VCPU_DEVICE : VCPU_UPCALL_FAILED;
	ret->exit_reason = v->run->exit_reason;
	ret->code = result;
	ret->address = t->address;
	ret->value = t->value;
	ret->size = t->size;
	return 1;
}

static int handle_msr(struct vcpu *v, struct trace_record *t, struct vcpu_event *ret)
{
	struct kvm_run *run = v->run;
	bool write = run->exit_reason == KVM_EXIT_X86_WRMSR;

	hist_add(&v->hist, write ? HIST_MSR_WRITE : HIST_MSR_READ, run->msr.index);
	v->io_pending = true;
	t->address = run->msr.index;
	t->value = write ? run->msr.data : 0;
	t->size = 8;
	t->flags = write ? TRACE_WRITE : 0;
	*ret = (struct vcpu_event){ .kind = VCPU_MSR, .address = t->address, .value = t->value };
	return 1;
}

static uint32_t event_kind(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_SHUTDOWN:
		return VCPU_SHUTDOWN;
	case KVM_EXIT_SYSTEM_EVENT:
		return VCPU_SYSTEM_EVENT;
	case KVM_EXIT_HLT:
		return VCPU_HLT;
	case KVM_EXIT_DEBUG:
		return VCPU_DEBUG;
	case KVM_EXIT_XEN:
		return VCPU_XEN;
	case KVM_EXIT_INTERNAL_ERROR:
		return VCPU_INTERNAL_ERROR;
	case KVM_EXIT_FAIL_ENTRY:
		return VCPU_FAIL_ENTRY;
	default:
		return VCPU_UNKNOWN;
	}
}

// Every exit but an access. 0: go on; 1: return *ret to Python.
static COLD int handle_event(struct vcpu *v, uint32_t reason, struct trace_record *t,
			     struct vcpu_event *ret)
{
	t->address = t->value = 0;
	t->size = t->flags = 0;
	switch (reason) {
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return handle_msr(v, t, ret);
	case KVM_EXIT_IOAPIC_EOI:
		t->value = v->run->eoi.vector;
		if (v->vm->ioapic)
			ioapic_eoi(v->vm->ioapic, v->run->eoi.vector);
		return 0;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_INTR:
		return 0;
	case KVM_EXIT_XEN:
		v->io_pending = true;
		break;
	}
	*ret = (struct vcpu_event){ .kind = event_kind(reason), .exit_reason = reason };
	return 1;
}

// One exit. 0: go on; 1: return *ret to Python.
HOT int handle_exit(struct vcpu *v, struct kvm_run *run, struct vcpu_event *ret)
{
	uint32_t reason = run->exit_reason;
	struct trace_record *t = trace_next(&v->trace);
	int result;

	t->tsc = trace_tsc();
	t->reason = reason;
	v->counters.exits++;
	if (likely(reason == KVM_EXIT_IO)) {
		v->counters.reason[KVM_EXIT_IO]++;
		result = handle_pio(v, run, t);
	} else if (likely(reason == KVM_EXIT_MMIO)) {
		v->counters.reason[KVM_EXIT_MMIO]++;
		result = handle_mmio(v, run, t);
	} else {
		v->counters.reason[reason < VCPU_REASONS ? reason : VCPU_REASONS - 1]++;
		return handle_event(v, reason, t, ret);
	}
	return likely(!result) ? 0 : device_event(v, t, result, ret);
}

// Injects the PIC's interrupt if the guest can take it now, else asks for an exit when it can.
// Context: own thread, the boot vCPU of a machine with a split irqchip: the PIC is wired to its
// LINT0.
static COLD void inject_pic(struct vcpu *v)
{
	struct pic *pic = v->vm->pic;
	struct kvm_run *run = v->run;

	if (pic_output(pic) && run->ready_for_interrupt_injection) {
		int vector = pic_ack(pic);
		struct kvm_interrupt irq = { .irq = (uint32_t)vector };
		if (vector >= 0 && !ioctl(v->fd, KVM_INTERRUPT, &irq))
			v->counters.injected++;
		run->ready_for_interrupt_injection = 0;
	}
	run->request_interrupt_window = pic_output(pic) ? 1 : 0;
}

static COLD uint32_t take_requests(struct vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	return atomic_exchange(&v->requests, 0);
}

int vcpu_complete_io(struct vcpu *v)
{
	struct vcpu_event ignored;

	while (v->io_pending) {
		v->io_pending = false;
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		int err = vcpu_enter(v->fd);
		if (!err)
			handle_exit(v, v->run, &ignored); // the next part of a split access
		else if (err != -EINTR && err != -EAGAIN)
			return err;
	}
	// Left set: requests stored meanwhile are collected by the next vcpu_run().
	return 0;
}

// A return of KVM_RUN with -errno `err`. 0: go on.
static COLD int run_failed(struct vcpu *v, int err, struct vcpu_event *ret)
{
	if (err == -EINTR) {
		v->counters.interrupted++;
		return 0;
	}
	if (err == -EAGAIN) // a vCPU that waited for its SIPI has got it
		return 0;
	*ret = (struct vcpu_event){ .kind = VCPU_RUN_FAILED,
				    .exit_reason = v->run->exit_reason,
				    .code = err };
	return 1;
}

HOT void loop_until_event(struct vcpu *v, struct vcpu_event *ret)
{
	struct vmcore *vm = v->vm;
	struct kvm_run *run = v->run;

	for (;;) {
		if (unlikely(__atomic_load_n(&run->immediate_exit, __ATOMIC_RELAXED)) &&
		    take_requests(v) & VCPU_REQUEST_COMMANDS) {
			*ret = (struct vcpu_event){ .kind = VCPU_KICKED };
			return;
		}
		if (unlikely(vm->pic) && v == vm->boot_vcpu)
			inject_pic(v);

		v->io_pending = false;
		int err = vcpu_enter(v->fd);
		if (unlikely(vmcore_queued(vm)))
			v->counters.coalesced += vmcore_take(vm);
		bool stop = likely(!err) ? handle_exit(v, run, ret) : run_failed(v, err, ret);
		vmcore_settle(vm, &v->pio);
		if (unlikely(stop))
			return;
	}
}

void vcpu_refuse_msr(struct vcpu *v)
{
	v->run->msr.error = 1;
}

void vcpu_failure(struct vcpu *v, struct vcpu_failure *ret)
{
	struct kvm_run *run = v->run;

	memset(ret, 0, sizeof(*ret));
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		ret->suberror = run->internal.suberror;
		ret->ndata = run->internal.ndata < 16 ? run->internal.ndata : 16;
		memcpy(ret->data, (void *)run->internal.data, sizeof(ret->data));
		break;
	case KVM_EXIT_FAIL_ENTRY:
		ret->entry_reason = run->fail_entry.hardware_entry_failure_reason;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		ret->suberror = run->system_event.type;
		break;
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
