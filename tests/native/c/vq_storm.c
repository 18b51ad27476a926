// SPDX-License-Identifier: Apache-2.0
// A driver and a device on two threads, each asleep unless the other notifies it, while the memory
// map changes beside them: a notification that got lost leaves both asleep, and the program hangs.
// Then a driver that rewrites its rings and descriptors while the device reads them; the thread
// sanitizer is spared that, for the driver's stores are races by intent.
#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "iov.h"
#include "vq.h"

#define SIZE 16u
#define REQUESTS 30000u
#define HOSTILE_POPS 1000000u
#define RAM 0x10000u
#define DESC 0x1000u
#define AVAIL 0x2000u
#define USED 0x3000u
#define TABLES 0x4000u // an indirect table of two for each head
#define BUFFERS 0x8000u // a request and an answer for each head, 8 bytes each

static struct gmem *memory;
static uint8_t ram[RAM] __attribute__((aligned(4096)));
static int kick_fd, call_fd;
static _Atomic bool done;
static bool event_idx;

static struct vring_desc *const desc = (struct vring_desc *)&ram[DESC];
static struct vring_avail *const avail = (struct vring_avail *)&ram[AVAIL];
static struct vring_used *const used = (struct vring_used *)&ram[USED];

static void notify(int fd)
{
	uint64_t one = 1;

	CHECK(write(fd, &one, sizeof(one)) == sizeof(one));
}

static void sleep_on(int fd)
{
	uint64_t count;

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
}

static uint64_t *request(uint32_t head)
{
	return (uint64_t *)&ram[BUFFERS + 16 * head];
}

// --- the driver

static void prepare(uint32_t head)
{
	struct vring_desc *table = (struct vring_desc *)&ram[TABLES + 32 * head];
	uint64_t gpa = BUFFERS + 16 * head;

	table[0] = (struct vring_desc){ gpa, 8, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ gpa + 8, 8, VRING_DESC_F_WRITE, 0 };
	desc[head] = (struct vring_desc){ TABLES + 32 * head, 32, VRING_DESC_F_INDIRECT, 0 };
}

// Shows the index; whether the device wants to know.
static bool publish(uint16_t old, uint16_t idx)
{
	__atomic_store_n(&avail->idx, idx, __ATOMIC_SEQ_CST);
	if (event_idx) {
		__virtio16 *event = (__virtio16 *)&used->ring[SIZE];
		return vring_need_event(__atomic_load_n(event, __ATOMIC_SEQ_CST), idx, old);
	}
	return !(__atomic_load_n(&used->flags, __ATOMIC_SEQ_CST) & VRING_USED_F_NO_NOTIFY);
}

// Asks for an interrupt; whether one would come too late, for something is there already.
static bool interrupts_on(uint16_t seen)
{
	if (event_idx)
		__atomic_store_n(&avail->ring[SIZE], seen, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&avail->flags, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&used->idx, __ATOMIC_SEQ_CST) != seen;
}

static void interrupts_off(void)
{
	if (!event_idx)
		__atomic_store_n(&avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}

static void *driver(void *opaque)
{
	uint16_t avail_idx = 0, seen = 0, head[SIZE];
	uint32_t free = SIZE, sent = 0, answered = 0;
	unsigned int seed = 7;

	(void)opaque;
	for (uint16_t i = 0; i < SIZE; i++)
		head[i] = i;
	while (answered < REQUESTS) {
		uint16_t old = avail_idx;
		for (uint32_t n = 1 + (uint32_t)rand_r(&seed) % 4; n && free && sent < REQUESTS;
		     n--) {
			uint16_t h = head[--free];
			prepare(h);
			*request(h) = sent++;
			avail->ring[avail_idx++ % SIZE] = h;
		}
		if (avail_idx != old && publish(old, avail_idx))
			notify(kick_fd);
		interrupts_off();
		while (seen != __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE)) {
			vring_used_elem_t e = used->ring[seen++ % SIZE];
			CHECK(e.id < SIZE && e.len == 8);
			CHECK(request(e.id)[1] == ~request(e.id)[0]);
			head[free++] = (uint16_t)e.id;
			answered++;
		}
		if ((!free || sent == REQUESTS) && answered < REQUESTS && !interrupts_on(seen))
			sleep_on(call_fd);
	}
	return NULL;
}

// --- the device

static void serve(struct vq *q)
{
	struct iovec piece[4];
	struct vq_chain c = { .piece = piece, .cap = 4 };
	uint64_t value;
	int got;

	while ((got = vq_pop(q, &c)) == 1) {
		CHECK(c.out_count == 1 && c.in_count == 1);
		CHECK(iov_to_buf(c.piece, 1, 0, &value, 8) == 8);
		value = ~value;
		CHECK(iov_from_buf(c.piece + 1, 1, 0, &value, 8) == 8);
		vq_push(q, c.head, 8);
	}
	CHECK(!got);
	if (vq_flush(q))
		notify(call_fd);
}

static void *device(void *opaque)
{
	struct gmem_dev dev = { 0 };
	struct vq q = { 0 };
	struct vq_config config = {
		.desc = DESC,
		.avail = AVAIL,
		.used = USED,
		.size = SIZE,
		.event_idx = event_idx,
		.indirect = true,
	};
	struct vq_counts counts = { 0 };

	(void)opaque;
	CHECK(!vq_start(&q, memory, &dev, &config));
	while (counts.chains < REQUESTS) {
		vq_kicks_off(&q);
		serve(&q);
		vq_counts(&q, &counts);
		if (counts.chains < REQUESTS && !vq_kicks_on(&q))
			sleep_on(kick_fd);
	}
	return NULL;
}

static void *changer(void *opaque)
{
	static uint8_t other[4096];

	(void)opaque;
	while (!atomic_load(&done)) {
		CHECK(!gmem_add(memory, 1ull << 32, sizeof(other), other, 0));
		CHECK(!gmem_remove(memory, 1ull << 32, sizeof(other)));
		usleep(200);
	}
	return NULL;
}

static void talk(bool with_event_idx)
{
	pthread_t thread[3];

	memset(ram, 0, sizeof(ram));
	event_idx = with_event_idx;
	atomic_store(&done, false);
	CHECK(!pthread_create(&thread[0], NULL, changer, NULL));
	CHECK(!pthread_create(&thread[1], NULL, device, NULL));
	CHECK(!pthread_create(&thread[2], NULL, driver, NULL));
	pthread_join(thread[2], NULL);
	pthread_join(thread[1], NULL);
	atomic_store(&done, true);
	pthread_join(thread[0], NULL);
}

#ifndef __SANITIZE_THREAD__
// Two chains, over and over: short and right, or the same with one field made up.
static void *scribbler(void *opaque)
{
	unsigned int seed = 3;

	(void)opaque;
	while (!atomic_load(&done)) {
		uint32_t head = (uint32_t)rand_r(&seed) % SIZE;
		struct vring_desc *table = (struct vring_desc *)&ram[TABLES + 32 * head];
		prepare(head);
		volatile uint16_t *word =
			(volatile uint16_t *)(rand_r(&seed) & 1 ? table : &desc[head]);
		word[rand_r(&seed) % 16] = (uint16_t)rand_r(&seed);
		avail->ring[head] = (uint16_t)(rand_r(&seed) % (SIZE + 1));
		__atomic_fetch_add(&avail->idx, (uint16_t)(rand_r(&seed) % 2), __ATOMIC_RELEASE);
	}
	return NULL;
}

static uint32_t endure(void)
{
	struct gmem_dev dev = { 0 };
	static struct vq q;
	struct iovec piece[8];
	struct vq_chain c = { .piece = piece, .cap = 8 };
	struct vq_config config = {
		.desc = DESC, .avail = AVAIL, .used = USED, .size = SIZE, .indirect = true
	};
	uint32_t whole = 0;
	uint64_t value = 0;

	for (uint32_t i = 0; i < HOSTILE_POPS; i++) {
		int got = q.mem ? vq_pop(&q, &c) : -ESHUTDOWN;
		if (got < 0) { // the driver resets, and goes on as it is
			config.last_avail = config.used_idx =
				__atomic_load_n(&avail->idx, __ATOMIC_RELAXED);
			CHECK(!vq_start(&q, memory, &dev, &config));
			continue;
		}
		if (!got)
			continue;
		whole++;
		for (uint32_t n = 0; n < c.out_count + c.in_count; n++)
			iov_to_buf(&c.piece[n], 1, c.piece[n].iov_len - 1, &value, 1);
		vq_push(&q, c.head, 0);
		vq_flush(&q);
	}
	return whole;
}
#endif

int main(void)
{
	CHECK((kick_fd = eventfd(0, EFD_CLOEXEC)) >= 0 && (call_fd = eventfd(0, EFD_CLOEXEC)) >= 0);
	CHECK((memory = gmem_create()));
	CHECK(!gmem_add(memory, 0, sizeof(ram), ram, 0));
	talk(false);
	talk(true);
	printf("%u requests\n", 2 * REQUESTS);
#ifndef __SANITIZE_THREAD__
	pthread_t thread;
	atomic_store(&done, false);
	CHECK(!pthread_create(&thread, NULL, scribbler, NULL));
	printf("%u chains from a driver that rewrites them\n", endure());
	atomic_store(&done, true);
	pthread_join(thread, NULL);
#endif
	gmem_destroy(memory);
	return 0;
}
