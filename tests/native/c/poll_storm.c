// SPDX-License-Identifier: Apache-2.0
// Ioctls that wait for sleeping vCPUs, from several threads, without KVM: ioctl() here returns when
// each sleeper has been woken once since it was called, and each goes back to sleep at once.
//
// A sleeper that nobody wakes leaves everyone waiting for good: the alarm ends the program.
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check.h"
#include "kvmwait.h"

#define SLEEPERS 4
#define CALLERS 3
#define CALLS 40
#define VM_FD 77
#define PATIENCE 110 // s

static struct kvmwait group;
static struct kvmwait_vcpu vcpu[SLEEPERS];
static _Atomic uint64_t woken[SLEEPERS];
static _Atomic bool done;
static pthread_barrier_t joined;

// NOLINTNEXTLINE: the C library's name is the point
int ioctl(int fd, unsigned long request, ...)
{
	uint64_t before[SLEEPERS];

	CHECK(fd == VM_FD && request == 1);
	for (int i = 0; i < SLEEPERS; i++)
		before[i] = atomic_load(&woken[i]);
	for (int i = 0; i < SLEEPERS; i++)
		while (atomic_load(&woken[i]) == before[i])
			sched_yield();
	errno = EEXIST;
	return -1;
}

static void on_signal(int signal)
{
	(void)signal;
}

static void *sleeper(void *opaque)
{
	struct kvmwait_vcpu *v = opaque;

	CHECK(!kvmwait_join(&group, v, SIGUSR1));
	pthread_barrier_wait(&joined);
	while (!atomic_load(&done)) {
		struct timespec long_time = { .tv_sec = PATIENCE };
		if (nanosleep(&long_time, NULL))
			atomic_fetch_add(&woken[v - vcpu], 1);
	}
	kvmwait_leave(&group, v);
	return NULL;
}

static void *caller(void *opaque)
{
	(void)opaque;
	for (int i = 0; i < CALLS; i++)
		CHECK(kvmwait_ioctl(&group, 1, NULL) == -EEXIST);
	return NULL;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t sleepers[SLEEPERS], callers[CALLERS];
	struct kvmwait_vcpu idle = { .on = false };

	alarm(PATIENCE);
	sigaction(SIGUSR1, &action, NULL);
	kvmwait_init(&group, VM_FD);
	CHECK(!kvmwait_join(&group, &idle, SIGUSR1) && !idle.on); // nobody polls here
	group.polls = true;
	pthread_barrier_init(&joined, NULL, SLEEPERS + 1);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(!pthread_create(&sleepers[i], NULL, sleeper, &vcpu[i]));
	pthread_barrier_wait(&joined);
	for (int i = 0; i < CALLERS; i++)
		CHECK(!pthread_create(&callers[i], NULL, caller, NULL));
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	CHECK(!group.under_way);
	atomic_store(&done, true);
	for (int i = 0; i < SLEEPERS; i++) {
		CHECK(atomic_load(&woken[i]) > 0);
		while (pthread_tryjoin_np(sleepers[i], NULL)) {
			pthread_kill(sleepers[i], SIGUSR1);
			sched_yield();
		}
	}
	CHECK(!group.vcpus);
	printf("%d calls, woken %llu times\n", CALLERS * CALLS,
	       (unsigned long long)atomic_load(&woken[0]));
	kvmwait_deinit(&group);
	return 0;
}
