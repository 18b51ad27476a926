// SPDX-License-Identifier: Apache-2.0
// What a virtio device has around it in a target: memory for rings and buffers, and a loop that
// runs when it is told to.
#ifndef FUZZ_DRIVER_H
#define FUZZ_DRIVER_H

#include "fuzz_loop.h"
#include "virtio_regs.h"

#define MAX_QUEUES 8
#define RING_ROOM 0x8000u // for a ring of VQ_MAX_SIZE entries
#define BUFFER_ROOM 0x4000u
#define BUFFERS (MAX_QUEUES * RING_ROOM)
#define MEMORY (BUFFERS + MAX_QUEUES * BUFFER_ROOM)

struct driver {
	struct gmem *m;
	uint8_t *ram;
	struct ticker ticker;
	struct virtio_dev *d;
	uint32_t size[MAX_QUEUES]; // entries of each ring, as set up last
};

// --- The loop

// Devices have room for as many chains as they offered.
static inline void check_sizes(const struct virtio_dev *d)
{
	for (uint32_t i = 0; i < d->queue_count; i++)
		MUST(!d->queue[i].live || d->queue[i].vq.mask < d->queue[i].max_size);
}

// Runs the loop for whatever is ready now, twice, as one handler causes another's event.
static inline void pump(struct driver *v)
{
	for (int i = 0; i < 2; i++) {
		ticker_run(&v->ticker);
		check_sizes(v->d);
	}
}

// --- Its life

static inline void driver_init(struct driver *v)
{
	MUST((v->m = gmem_create()) && (v->ram = calloc(1, MEMORY)));
	MUST(!gmem_add(v->m, 0, MEMORY, v->ram, 0));
	ticker_init(&v->ticker);
	for (uint32_t i = 0; i < MAX_QUEUES; i++)
		v->size[i] = 8;
}

static inline void driver_deinit(struct driver *v)
{
	ticker_deinit(&v->ticker);
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
