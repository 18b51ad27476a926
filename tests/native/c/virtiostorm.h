// SPDX-License-Identifier: Apache-2.0
// Four vCPUs set up, use and reset one virtio device as they like, without a word to each other,
// while the host changes its configuration, pauses it and breaks it. Afterwards it must still do
// what a well-behaved driver asks: no request may have been lost on the way.
//
// Chains are what they are for good, so that only indices move: a descriptor is read without
// atomics. Each is an indirect table, which storm_chain() fills.
#ifndef VIRTIOSTORM_H
#define VIRTIOSTORM_H

#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "virtio_regs.h"

#define VCPUS 4
#ifndef ENTRIES
#define ENTRIES 32 // of each ring
#endif
#define RAM (4u << 20)
#define RING_ROOM 0x1000u // descriptors, 0x400: available ring, 0x800: used ring
#define AVAIL 0x400u
#define USED 0x800u
#define TABLE_ROOM 64u // bytes of a chain's table
#define TABLES 0x100000u // by queue and entry
#define BUFFERS 0x200000u // by queue and entry
#define BUFFER 0x1000u
#define PATIENCE 20000 // ms

static struct virtio_dev *d;
static struct gmem *mem;
static struct loop *loop;
static uint8_t *ram;
static uint32_t rounds; // of each vCPU
static _Atomic bool done;
static _Atomic uint64_t interrupts;

static void interrupt(void *opaque, int queue)
{
	(void)opaque;
	CHECK(queue >= -1 && queue < (int)d->queue_count);
	atomic_fetch_add(&interrupts, 1);
}

static void reset_registers(void *opaque, int queue)
{
	(void)opaque, (void)queue;
}

static const struct virtio_transport transport = { .interrupt = interrupt,
						   .reset = reset_registers };

// --- Rings

static uint64_t buffer_at(uint32_t queue, uint32_t entry)
{
	return BUFFERS + (queue * ENTRIES + entry) * BUFFER;
}

// Entry `entry` of the queue becomes a chain of these pieces.
static void storm_chain(uint32_t queue, uint16_t entry, const struct vring_desc *piece,
			uint16_t count)
{
	struct vring_desc *ring = (struct vring_desc *)(ram + queue * RING_ROOM);
	struct vring_avail *avail = (struct vring_avail *)(ram + queue * RING_ROOM + AVAIL);
	uint64_t at = TABLES + (queue * ENTRIES + entry) * TABLE_ROOM;
	struct vring_desc *table = (struct vring_desc *)(ram + at);

	CHECK(count * sizeof(*piece) <= TABLE_ROOM);
	for (uint16_t i = 0; i < count; i++) {
		table[i] = piece[i];
		if (i + 1 == count)
			break;
		table[i].flags |= VRING_DESC_F_NEXT;
		table[i].next = i + 1;
	}
	ring[entry] = (struct vring_desc){ at, count * (uint32_t)sizeof(*piece),
					   VRING_DESC_F_INDIRECT, 0 };
	avail->ring[entry] = entry;
}

static uint16_t *avail_idx(uint32_t queue)
{
	return (uint16_t *)(ram + queue * RING_ROOM + AVAIL + 2);
}

static uint16_t *used_idx(uint32_t queue)
{
	return (uint16_t *)(ram + queue * RING_ROOM + USED + 2);
}

static uint16_t used(uint32_t queue)
{
	return __atomic_load_n(used_idx(queue), __ATOMIC_SEQ_CST);
}

// One chain more, if the ring has room for what all vCPUs may add at the same time.
static void offer(uint32_t queue)
{
	uint16_t idx = __atomic_load_n(avail_idx(queue), __ATOMIC_SEQ_CST);

	if ((uint16_t)(idx - used(queue)) < ENTRIES - VCPUS)
		__atomic_fetch_add(avail_idx(queue), 1, __ATOMIC_SEQ_CST);
	virtio_notify(d, queue);
}

static void set_up_queue(uint32_t queue)
{
	struct virtio_queue *q = virtio_queue_at(d, queue);

	if (!virtio_queue_writable(q))
		return;
	q->size = ENTRIES;
	q->desc = queue * RING_ROOM;
	q->avail = q->desc + AVAIL;
	q->used = q->desc + USED;
	virtio_queue_enable(q);
}

static void set_up_queues(void)
{
	for (uint32_t queue = 0; queue < d->queue_count; queue++) {
		__atomic_store_n(avail_idx(queue), 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(used_idx(queue), 0, __ATOMIC_SEQ_CST);
		set_up_queue(queue);
	}
}

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
