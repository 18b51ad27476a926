// SPDX-License-Identifier: Apache-2.0
// A vCPU's beginning and end, the kick, and what Python asks of the last exit.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu.h"

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

int vcpu_thread_begin(struct vcpu *v)
{
	vcpu_thread_mask_signals();
	return kvmwait_join(&v->vm->wait, &v->wake, KICK_SIGNAL);
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
	if (ring_page && vm->ring == vmcore_no_ring(vm) &&
	    run_size >= (ring_page + 1) * PAGE_BYTES) {
		vm->ring = (void *)((uint8_t *)run + (size_t)ring_page * PAGE_BYTES);
		vm->ring_max = (PAGE_BYTES - sizeof(*vm->ring)) / sizeof(struct kvm_coalesced_mmio);
	}
	return v;
}

void vcpu_destroy(struct vcpu *v)
{
	kvmwait_leave(&v->vm->wait, &v->wake);
	bus_remove_reader(v->vm->pio, &v->pio);
	bus_remove_reader(v->vm->mmio, &v->mmio);
	if (v->vm->boot_vcpu == v)
		v->vm->boot_vcpu = NULL;
	pthread_mutex_lock(&v->vm->ring_lock);
	uint8_t *ring = (uint8_t *)v->vm->ring;
	if (ring >= (uint8_t *)v->run && ring < (uint8_t *)v->run + v->run_size)
		v->vm->ring = vmcore_no_ring(v->vm);
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

void vcpu_refuse_msr(struct vcpu *v)
{
	v->run->msr.error = 1;
}

void vcpu_hypercall(struct vcpu *v, struct vcpu_hypercall *ret)
{
	struct kvm_run *run = v->run;

	if (v->hypervisor_ops) {
		v->hypervisor_ops->get(v, ret);
		return;
	}
	// GUEST: registers of a hypercall. KVM wrote them here; the guest cannot change them again.
	ret->number = run->xen.u.hcall.input;
	memcpy(ret->params, (void *)run->xen.u.hcall.params, sizeof(ret->params));
	ret->longmode = run->xen.u.hcall.longmode;
	ret->cpl = run->xen.u.hcall.cpl;
}

void vcpu_hypercall_result(struct vcpu *v, int64_t result)
{
	if (v->hypervisor_ops)
		v->hypervisor_ops->answer(v, result);
	else
		v->run->xen.u.hcall.result = (uint64_t)result;
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
