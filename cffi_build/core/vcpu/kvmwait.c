// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "kvmwait.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void kvmwait_init(struct kvmwait *w, int vm_fd)
{
	*w = (struct kvmwait){ .vm_fd = vm_fd };
	pthread_mutex_init(&w->lock, NULL);
}

void kvmwait_deinit(struct kvmwait *w)
{
	pthread_mutex_destroy(&w->lock);
}

// Context: lock held.
static void wake(struct kvmwait_vcpu *v, bool on)
{
	long ns = on ? KVMWAIT_WAKE_NS : 0;
	struct itimerspec when = { .it_value.tv_nsec = ns, .it_interval.tv_nsec = ns };

	timer_settime(v->timer, 0, &when, NULL);
}

int kvmwait_join(struct kvmwait *w, struct kvmwait_vcpu *v, int signal)
{
	struct sigevent to = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal };

	if (!w->polls)
		return 0;
	to._sigev_un._tid = (int)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &to, &v->timer))
		return -errno;
	LOCKED(&w->lock);
	v->on = true;
	v->next = w->vcpus;
	w->vcpus = v;
	if (w->under_way)
		wake(v, true);
	return 0;
}

void kvmwait_leave(struct kvmwait *w, struct kvmwait_vcpu *v)
{
	LOCKED(&w->lock);
	if (!v->on)
		return;
	for (struct kvmwait_vcpu **at = &w->vcpus; *at; at = &(*at)->next) {
		if (*at == v) {
			*at = v->next;
			break;
		}
	}
	timer_delete(v->timer);
	v->on = false;
}

// One ioctl more or less: the first begins to wake, the last ends it.
static void count(struct kvmwait *w, uint32_t change)
{
	LOCKED(&w->lock);
	uint32_t before = w->under_way;
	w->under_way += change;
	if (before && w->under_way)
		return;
	for (struct kvmwait_vcpu *v = w->vcpus; v; v = v->next)
		wake(v, w->under_way);
}

int kvmwait_ioctl(struct kvmwait *w, unsigned long request, void *argument)
{
	count(w, 1);
	int result = ioctl(w->vm_fd, request, argument);
	int err = errno;
	count(w, UINT32_MAX);
	return result < 0 ? -err : result;
}
