// SPDX-License-Identifier: Apache-2.0
// Four vCPUs set up, use and reset one virtio device as they like, without a word to each other,
// while the host changes its configuration, pauses it and breaks it. Afterwards it must still do
// what a well-behaved driver asks: no request may have been lost on the way.
#ifndef VIRTIOSTORM_H
#define VIRTIOSTORM_H

#include <unistd.h>

#include "stormdriver.h"

// --- The driver's side

// The start of a driver's probe, as far as others let it come. Context: dev.lock held.
static void set_up(uint32_t step)
{
	static const uint8_t words[] = { 1, 3 };

	if (step < 2)
		virtio_set_status(d, words[step]);
	else if (step < 4)
		virtio_accept(d, step - 2, virtio_offered(d, step - 2));
	else if (step == 4)
		virtio_set_status(d, 11);
	else if (step == 5)
		set_up_queues();
	else
		virtio_set_status(d, 15);
}

static void anything(unsigned int *seed)
{
	uint32_t what = (uint32_t)rand_r(seed) % 64;
	uint32_t queue = (uint32_t)rand_r(seed) % d->queue_count;

	if (what < 24) {
		offer(queue);
		return;
	}
	LOCKED(&d->dev.lock);
	if (what < 28)
		virtio_set_status(d, 0);
	else if (what < 30)
		virtio_queue_reset(virtio_queue_at(d, queue));
	else if (what < 32)
		set_up_queue(queue); // one that was reset
	else if (what < 34)
		virtio_set_status(d, (uint8_t)rand_r(seed));
	else if (what < 36)
		virtio_accept(d, (uint32_t)rand_r(seed) % 4, (uint32_t)rand_r(seed));
	else if (what < 38)
		virtio_config_write(d, (uint32_t)rand_r(seed) % 40, 1, (uint32_t)rand_r(seed) % 2);
	else if (what < 40)
		virtio_config_read(d, (uint32_t)rand_r(seed) % 40, 4);
	else if (what < 42)
		virtio_transport_changed(d);
	else
		set_up((uint32_t)rand_r(seed) % 7);
}

static void probe(void)
{
	{
		LOCKED(&d->dev.lock);
		virtio_set_status(d, 0);
	}
	virtio_wait_idle(d, 5); // as a driver polls; others may start it anew meanwhile
	for (uint32_t step = 0; step < 7; step++) {
		LOCKED(&d->dev.lock);
		set_up(step);
	}
}

static void *vcpu(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (uint32_t i = 0; i < rounds; i++) {
		anything(&seed);
		if (i % 16 == 0)
			probe();
		if (i % 16 < 4)
			usleep(20); // so that it also comes to serving them
	}
	return NULL;
}

// --- The host's side

static void *host(void *opaque)
{
	struct virtio_counters counters;

	(void)opaque;
	for (uint8_t i = 0; !atomic_load(&done); i++) {
		virtio_config_changed(d, 0, &i, 1);
		virtio_counters(d, &counters);
		usleep(300);
		if (i % 8)
			continue;
		virtio_ask_pause(d);
		CHECK(!virtio_wait_quiet(d, PATIENCE));
		virtio_ask_resume(d);
		virtio_needs_reset(d, VIRTIO_FAULT_HOST);
	}
	return NULL;
}

static void *looping(void *opaque)
{
	struct loop_event event;
	uint64_t *events = opaque;

	do {
		CHECK(!loop_run(loop, &event));
		CHECK(event.kind == LOOP_STOPPED || event.source == d);
		*events += 1;
	} while (event.kind != LOOP_STOPPED);
	return NULL;
}

// Makes memory and the loop; the device comes next.
static void storm_begin(void)
{
	mem = gmem_create();
	loop = loop_create();
	ram = aligned_alloc(4096, RAM);
	CHECK(mem && loop && ram);
	memset(ram, 0, RAM);
	CHECK(!gmem_add(mem, 0, RAM, ram, 0));
}

// A driver alone with the device begins.
static void behave(void)
{
	virtio_ask_reset(d);
	CHECK(!virtio_wait_idle(d, PATIENCE));
	probe();
	LOCKED(&d->dev.lock);
	CHECK(d->status == 15);
}

// Waits until the queue has used chain number `count`.
static void await_used(uint32_t queue, uint16_t count)
{
	for (int ms = 0; used(queue) != count; ms++) {
		CHECK(ms < PATIENCE);
		usleep(ms ? 1000 : 1);
	}
}

// All of it; `check()` is the well-behaved driver.
static void storm(struct virtio_dev *device, uint32_t vcpu_rounds, void (*check)(void))
{
	pthread_t vcpus[VCPUS], others[2];
	uint64_t events = 0;

	d = device;
	rounds = vcpu_rounds;
	virtio_connect(d, &transport, NULL, false);
	pthread_create(&others[0], NULL, looping, &events);
	pthread_create(&others[1], NULL, host, NULL);
	for (uintptr_t i = 0; i < VCPUS; i++)
		pthread_create(&vcpus[i], NULL, vcpu, (void *)(i + 1));
	for (int i = 0; i < VCPUS; i++)
		pthread_join(vcpus[i], NULL);
	atomic_store(&done, true);
	pthread_join(others[1], NULL);
	behave();
	check();
	virtio_ask_reset(d);
	CHECK(!virtio_wait_idle(d, PATIENCE));
	loop_stop(loop);
	pthread_join(others[0], NULL);
	printf("%llu events\n", (unsigned long long)events);
}

// After the device is gone.
static void storm_end(void)
{
	loop_destroy(loop);
	gmem_destroy(mem);
	free(ram);
}

static void storm_report(void)
{
	struct virtio_counters counters;

	virtio_counters(d, &counters);
	printf("%llu starts, %llu resets, %llu faults, %llu refused, %llu ignored, %llu kicks\n",
	       (unsigned long long)counters.starts, (unsigned long long)counters.resets,
	       (unsigned long long)counters.faults, (unsigned long long)counters.refused,
	       (unsigned long long)counters.ignored, (unsigned long long)counters.kicks);
	CHECK(counters.starts > 100 && counters.resets > 100 && counters.faults);
	CHECK(atomic_load(&interrupts));
}

#endif
