// SPDX-License-Identifier: Apache-2.0
// Ioctls of a VM for which KVM waits until every vCPU has left the guest once: those that change
// ioeventfds, coalesced zones, memory slots of base address registers and the ports of a Xen
// domain.
//
// A vCPU of a Xen domain that sleeps in SCHEDOP_poll has not left it in KVM's eyes, and the event
// it waits for may be sent by the very vCPU whose exit makes the ioctl (the owner of a spinlock):
// both would sleep for ever. While such an ioctl lasts, a timer of each vCPU's thread therefore
// signals that thread. The signal ends the poll as anything may end it; the guest looks again.
//
// Timers, because whoever makes the ioctl sleeps in it, and a kick before it may come too early: a
// vCPU that it wakes can be back in its poll before KVM begins to wait.
#ifndef VMM_KVMWAIT_H
#define VMM_KVMWAIT_H

#include <time.h>

#include "base.h"

struct kvmwait_vcpu {
	struct kvmwait_vcpu *next;
	timer_t timer;
	bool on; // the timer exists
};

struct kvmwait {
	int vm_fd;
	bool polls; // vCPUs may poll
	pthread_mutex_t lock; // guards the rest; a leaf
	struct kvmwait_vcpu *vcpus;
	uint32_t under_way;
};

enum {
	KVMWAIT_WAKE_NS = 1000000, // how long an ioctl is given before vCPUs are woken, and again
};

void kvmwait_init(struct kvmwait *w, int vm_fd);
void kvmwait_deinit(struct kvmwait *w);
// Has the calling thread, a vCPU's, woken by `signal`. Nothing where vCPUs cannot poll. 0 or
// -errno.
int kvmwait_join(struct kvmwait *w, struct kvmwait_vcpu *v, int signal);
// Ends it; nothing without a join. Any thread.
void kvmwait_leave(struct kvmwait *w, struct kvmwait_vcpu *v);
// One such ioctl. 0 or more, or -errno. Any thread.
int kvmwait_ioctl(struct kvmwait *w, unsigned long request, void *argument);

#endif
