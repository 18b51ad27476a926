// SPDX-License-Identifier: Apache-2.0
// Sources added, fired and removed by several threads while the loop runs; each thread frees what
// its handler used as soon as loop_remove() returns, so a handler that runs later is a use after
// free. Meanwhile another thread posts, and every event taken by loop_post() must come out, in
// order.
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "loop.h"

#define THREADS 3
#define ROUNDS 2000
#define POSTS 5000

struct target {
	int fd;
	uint64_t fired; // written by the handler only, read by its thread after the removal
};

static struct loop *loop;
static _Atomic uint64_t handled;

static void on_event(void *opaque, uint32_t events)
{
	struct target *t = opaque;
	uint64_t count;

	CHECK(events & EPOLLIN);
	if (read(t->fd, &count, sizeof(count)) == sizeof(count))
		t->fired += count;
	atomic_fetch_add(&handled, 1);
}

static void *storm(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < ROUNDS; i++) {
		struct target *t = calloc(1, sizeof(*t));
		uint64_t one = 1;
		t->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		int handle = loop_add(loop, t->fd, EPOLLIN, on_event, t);
		CHECK(handle >= 0);
		int writes = rand_r(&seed) % 4;
		for (int n = 0; n < writes; n++)
			CHECK(write(t->fd, &one, sizeof(one)) == sizeof(one));
		if (rand_r(&seed) % 2)
			CHECK(loop_modify(loop, handle, EPOLLIN | EPOLLONESHOT) == 0);
		if (rand_r(&seed) % 2)
			usleep((useconds_t)(rand_r(&seed) % 50));
		loop_remove(loop, handle);
		CHECK(loop_modify(loop, handle, EPOLLIN) != -EINVAL);
		CHECK(t->fired <= (uint64_t)writes);
		close(t->fd);
		t->fd = -1;
		free(t);
	}
	return NULL;
}

static void *post(void *opaque)
{
	(void)opaque;
	for (uint64_t i = 0; i < POSTS; i++) {
		while (loop_post(loop, LOOP_USER, i, NULL) == -ENOSPC)
			usleep(10);
		if (i % 64 == 0)
			loop_wake(loop);
	}
	return NULL;
}

static void *stop_when_done(void *opaque)
{
	pthread_t *thread = opaque;

	for (int i = 0; i <= THREADS; i++)
		pthread_join(thread[i], NULL);
	loop_stop(loop);
	return NULL;
}

int main(void)
{
	pthread_t thread[THREADS + 1], stopper;
	struct loop_event event;
	uint64_t next = 0, wakes = 0;

	CHECK((loop = loop_create()));
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, storm, (void *)(i + 1)));
	CHECK(!pthread_create(&thread[THREADS], NULL, post, NULL));
	CHECK(!pthread_create(&stopper, NULL, stop_when_done, thread));
	do {
		CHECK(loop_run(loop, &event) == 0);
		wakes += event.kind == LOOP_WAKE;
		if (event.kind == LOOP_USER)
			CHECK(event.value == next++);
	} while (event.kind != LOOP_STOPPED);
	pthread_join(stopper, NULL);
	CHECK(next == POSTS && wakes > 0);
	struct loop_counters counters;
	loop_counters(loop, &counters);
	CHECK(counters.dispatched == atomic_load(&handled));
	loop_destroy(loop);
	printf("handled %llu\n", (unsigned long long)atomic_load(&handled));
	return 0;
}
