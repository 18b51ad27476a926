// SPDX-License-Identifier: Apache-2.0
// The memory of a storm's guest: where rings, tables and buffers are, and what vCPUs do to them.
//
// Chains are what they are for good, so that only indices move: a descriptor is read without
// atomics. Each is an indirect table, which storm_chain() fills.
#ifndef STORMDRIVER_H
#define STORMDRIVER_H

#include <stdatomic.h>

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

#endif
