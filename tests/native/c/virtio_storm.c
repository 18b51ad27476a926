// SPDX-License-Identifier: Apache-2.0
// Four vCPUs set up, use and reset one entropy device as they like, without a word to each other,
// while the host changes its configuration, pauses it and breaks it. Afterwards it must still do
// what a well-behaved driver asks: no request may have been lost on the way.
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "virtio_regs.h"
#include "virtio_rng.h"

#define VCPUS 4
#define ROUNDS 20000
#define RAM (1u << 20)
#define RING 0x1000 // descriptors; available and used ring follow
#define AVAIL 0x2000
#define USED 0x3000
#define BUFFERS 0x10000
#define PATIENCE 20000 // ms

static struct virtio_rng *rng;
static struct virtio_dev *d;
static struct loop *loop;
static uint8_t *ram;
static _Atomic bool done;
static _Atomic uint64_t interrupts;

static void interrupt(void *opaque, int queue)
{
	(void)opaque;
	CHECK(queue >= -1 && queue < 1);
	atomic_fetch_add(&interrupts, 1);
}

static void reset_registers(void *opaque, int queue)
{
	(void)opaque, (void)queue;
}

static const struct virtio_transport transport = { .interrupt = interrupt,
						   .reset = reset_registers };

// Chains are what they are for good, so that only indices move: a descriptor is read without
// atomics.
static void lay_out_ring(void)
{
	struct vring_desc *desc = (struct vring_desc *)(ram + RING);
	struct vring_avail *avail = (struct vring_avail *)(ram + AVAIL);

	for (uint16_t i = 0; i < RNG_QUEUE_SIZE; i++) {
		desc[i] = (struct vring_desc){ BUFFERS + 4096u * i, 64, VRING_DESC_F_WRITE, 0 };
		avail->ring[i] = i;
	}
}

static uint16_t *avail_idx(void)
{
	return (uint16_t *)(ram + AVAIL + 2);
}

static void set_up_queue(void)
{
	struct virtio_queue *q = virtio_queue_at(d, 0);

	if (!virtio_queue_writable(q))
		return;
	q->desc = RING;
	q->avail = AVAIL;
	q->used = USED;
	virtio_queue_enable(q);
}

// The start of a driver's probe, as far as others let it come. Context: dev.lock held.
static void set_up(uint32_t step)
{
	static const uint8_t words[] = { 1, 3 };

	if (step < 2) {
		virtio_set_status(d, words[step]);
	} else if (step < 4) {
		virtio_accept(d, step - 2, virtio_offered(d, step - 2));
	} else if (step == 4) {
		virtio_set_status(d, 11);
	} else if (step == 5) {
		__atomic_store_n(avail_idx(), 0, __ATOMIC_SEQ_CST);
		set_up_queue();
	} else {
		virtio_set_status(d, 15);
	}
}

static void offer(void)
{
	__atomic_fetch_add(avail_idx(), 1, __ATOMIC_SEQ_CST);
	virtio_notify(d, 0);
}

static void anything(unsigned int *seed)
{
	uint32_t what = (uint32_t)rand_r(seed) % 64;

	if (what < 24) {
		offer();
		return;
	}
	LOCKED(&d->dev.lock);
	if (what < 28)
		virtio_set_status(d, 0);
	else if (what < 30)
		virtio_queue_reset(virtio_queue_at(d, 0));
	else if (what < 34)
		virtio_set_status(d, (uint8_t)rand_r(seed));
	else if (what < 36)
		virtio_accept(d, (uint32_t)rand_r(seed) % 4, (uint32_t)rand_r(seed));
	else if (what < 38)
		virtio_config_write(d, (uint32_t)rand_r(seed) % 16, 4, 0x1234);
	else if (what < 40)
		virtio_config_read(d, (uint32_t)rand_r(seed) % 16, 4);
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

	for (int i = 0; i < ROUNDS; i++) {
		anything(&seed);
		if (i % 16 == 0)
			probe();
		if (i % 16 < 4)
			usleep(20); // so that it also comes to serving them
	}
	return NULL;
}

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

// A driver alone with the device.
static void behave(void)
{
	struct vring_used *used = (struct vring_used *)(ram + USED);

	virtio_ask_reset(d);
	CHECK(!virtio_wait_idle(d, PATIENCE));
	used->idx = 0;
	probe();
	CHECK(d->status == 15);
	for (uint16_t i = 1; i <= 1000; i++) {
		offer();
		for (int ms = 0; __atomic_load_n(&used->idx, __ATOMIC_SEQ_CST) != i; ms++) {
			CHECK(ms < PATIENCE);
			usleep(ms ? 1000 : 1);
		}
	}
}

static void storm(void)
{
	pthread_t vcpus[VCPUS], others[2];
	uint64_t events = 0;

	pthread_create(&others[0], NULL, looping, &events);
	pthread_create(&others[1], NULL, host, NULL);
	for (uintptr_t i = 0; i < VCPUS; i++)
		pthread_create(&vcpus[i], NULL, vcpu, (void *)(i + 1));
	for (int i = 0; i < VCPUS; i++)
		pthread_join(vcpus[i], NULL);
	atomic_store(&done, true);
	pthread_join(others[1], NULL);
	behave();
	virtio_ask_reset(d);
	CHECK(!virtio_wait_idle(d, PATIENCE));
	loop_stop(loop);
	pthread_join(others[0], NULL);
	printf("%llu events\n", (unsigned long long)events);
}

int main(void)
{
	struct gmem *mem = gmem_create();
	struct vclock *clock = vclock_create(false);
	struct virtio_counters counters;

	loop = loop_create();
	ram = aligned_alloc(4096, RAM);
	CHECK(mem && clock && loop && ram);
	memset(ram, 0, RAM);
	CHECK(!gmem_add(mem, 0, RAM, ram, 0));
	lay_out_ring();
	rng = virtio_rng_create(&(struct virtio_rng_setup){
		.mem = mem, .loop = loop, .clock = clock, .source = -1 });
	CHECK(rng);
	d = &rng->vdev;
	virtio_connect(d, &transport, NULL, false);
	storm();
	virtio_counters(d, &counters);
	printf("%llu starts, %llu resets, %llu faults, %llu refused, %llu ignored, %llu kicks\n",
	       (unsigned long long)counters.starts, (unsigned long long)counters.resets,
	       (unsigned long long)counters.faults, (unsigned long long)counters.refused,
	       (unsigned long long)counters.ignored, (unsigned long long)counters.kicks);
	CHECK(counters.starts > 100 && counters.resets > 100 && counters.faults);
	CHECK(atomic_load(&interrupts) && count_get(&rng->bytes) > 1000 * 64);
	virtio_rng_destroy(rng);
	vclock_destroy(clock);
	loop_destroy(loop);
	gmem_destroy(mem);
	free(ram);
	return 0;
}
