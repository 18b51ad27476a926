// SPDX-License-Identifier: Apache-2.0
// Timers armed, disarmed, created and freed by several threads while the loop fires them and
// another thread stops and runs the clock. Time never goes back, and stands still while stopped.
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "loop.h"
#include "timer.h"

#define THREADS 3
#define ROUNDS 400

static struct loop *loop;
static struct vclock *vclock;
static _Atomic bool done;
static _Atomic uint64_t fired;

struct target {
	struct timer timer;
	pthread_mutex_t lock; // as a device's: held while arming, taken by the timer's function
	uint64_t count;
};

static void on_timer(void *opaque)
{
	struct target *t = opaque;

	pthread_mutex_lock(&t->lock);
	t->count++;
	if (t->count % 3 == 1)
		timer_arm(&t->timer, vclock_ns(vclock) + 1000);
	pthread_mutex_unlock(&t->lock);
	atomic_fetch_add(&fired, 1);
}

static void *storm(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < ROUNDS; i++) {
		struct target *t = calloc(1, sizeof(*t));
		pthread_mutex_init(&t->lock, NULL);
		CHECK(timer_init(&t->timer, vclock, loop, on_timer, t) == 0);
		for (int n = 0; n < 5; n++) {
			pthread_mutex_lock(&t->lock);
			if (rand_r(&seed) % 4)
				timer_arm(&t->timer, vclock_ns(vclock) + rand_r(&seed) % 100000);
			else
				timer_disarm(&t->timer);
			pthread_mutex_unlock(&t->lock);
			usleep((useconds_t)(rand_r(&seed) % 100));
		}
		timer_deinit(&t->timer);
		pthread_mutex_destroy(&t->lock);
		free(t);
	}
	return NULL;
}

static void *stop_and_run(void *opaque)
{
	(void)opaque;
	while (!atomic_load(&done)) {
		vclock_stop(vclock);
		int64_t at = vclock_ns(vclock);
		usleep(50);
		CHECK(vclock_ns(vclock) == at);
		vclock_run(vclock);
		usleep(200);
	}
	return NULL;
}

static void *watch(void *opaque)
{
	int64_t last = 0;

	(void)opaque;
	while (!atomic_load(&done)) {
		int64_t now = vclock_ns(vclock);
		CHECK(now >= last);
		last = now;
	}
	return NULL;
}

static void *stop_when_done(void *opaque)
{
	pthread_t *thread = opaque;

	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&done, true);
	loop_stop(loop);
	return NULL;
}

int main(void)
{
	pthread_t thread[THREADS], stopper, pauser, watcher;
	struct loop_event event;

	CHECK((loop = loop_create()));
	CHECK((vclock = vclock_create(false)));
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, storm, (void *)(i + 1)));
	CHECK(!pthread_create(&pauser, NULL, stop_and_run, NULL));
	CHECK(!pthread_create(&watcher, NULL, watch, NULL));
	CHECK(!pthread_create(&stopper, NULL, stop_when_done, thread));
	CHECK(loop_run(loop, &event) == 0 && event.kind == LOOP_STOPPED);
	pthread_join(stopper, NULL);
	pthread_join(pauser, NULL);
	pthread_join(watcher, NULL);
	CHECK(atomic_load(&fired) > 0);
	vclock_destroy(vclock);
	loop_destroy(loop);
	printf("fired %llu\n", (unsigned long long)atomic_load(&fired));
	return 0;
}
