// SPDX-License-Identifier: Apache-2.0
// What a virtio device has around it in a target: memory for rings and buffers, and a loop that
// runs when it is told to.
#ifndef FUZZ_DRIVER_H
#define FUZZ_DRIVER_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fuzz.h"
#include "virtio_regs.h"

#define MAX_QUEUES 8
#define RING_ROOM 0x8000u // for a ring of VQ_MAX_SIZE entries
#define BUFFER_ROOM 0x4000u
#define BUFFERS (MAX_QUEUES * RING_ROOM)
#define MEMORY (BUFFERS + MAX_QUEUES * BUFFER_ROOM)
#define TICK (LOOP_USER + 1000)

struct driver {
	struct gmem *m;
	uint8_t *ram;
	struct loop *loop;
	int tick;
	struct virtio_dev *d;
	uint32_t size[MAX_QUEUES]; // entries of each ring, as set up last
	void (*heard)(struct driver *v, const struct loop_event *event); // may be NULL
};

// --- The loop

static inline void on_tick(void *opaque, uint32_t events)
{
	struct driver *v = opaque;
	uint64_t count;

	(void)events;
	MUST(read(v->tick, &count, sizeof(count)) == sizeof(count));
	MUST(!loop_post(v->loop, TICK, 0, v));
}

// Devices have room for as many chains as they offered.
static inline void check_sizes(const struct virtio_dev *d)
{
	for (uint32_t i = 0; i < d->queue_count; i++)
		MUST(!d->queue[i].live || d->queue[i].vq.mask < d->queue[i].max_size);
}

// Runs the loop for whatever is ready now, twice, as one handler causes another's event.
static inline void pump(struct driver *v)
{
	struct loop_event event;
	uint64_t one = 1;

	for (int i = 0; i < 2; i++) {
		MUST(write(v->tick, &one, sizeof(one)) == sizeof(one));
		do {
			MUST(!loop_run(v->loop, &event));
			if (v->heard)
				v->heard(v, &event);
		} while (event.kind != TICK);
		check_sizes(v->d);
	}
}

// --- Its life

static inline void driver_init(struct driver *v)
{
	MUST((v->m = gmem_create()) && (v->ram = calloc(1, MEMORY)) && (v->loop = loop_create()));
	MUST(!gmem_add(v->m, 0, MEMORY, v->ram, 0));
	MUST((v->tick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
	MUST(loop_add(v->loop, v->tick, EPOLLIN, on_tick, v) >= 0);
	for (uint32_t i = 0; i < MAX_QUEUES; i++)
		v->size[i] = 8;
}

static inline void driver_deinit(struct driver *v)
{
	loop_destroy(v->loop);
	close(v->tick);
	gmem_destroy(v->m);
	free(v->ram);
}

static inline void on_interrupt(void *opaque, int queue)
{
	const struct driver *v = opaque;

	MUST(queue >= -1 && queue < (int)v->d->queue_count);
}

static inline void on_reset(void *opaque, int queue)
{
	(void)opaque;
	(void)queue;
}

static inline void driver_connect(struct driver *v, struct virtio_dev *d)
{
	static const struct virtio_transport transport = { .interrupt = on_interrupt,
							   .reset = on_reset };

	MUST(d->queue_count <= MAX_QUEUES);
	v->d = d;
	virtio_connect(d, &transport, v, false);
}

#endif
