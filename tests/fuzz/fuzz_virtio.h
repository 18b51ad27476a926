// SPDX-License-Identifier: Apache-2.0
// What the targets of virtio devices share: a driver that sets up queues of any size, fills them
// and writes where it should not, and saved states.
#ifndef FUZZ_VIRTIO_H
#define FUZZ_VIRTIO_H

#include <linux/virtio_ring.h>

#include "fuzz_driver.h"

#define TABLE (BUFFER_ROOM - 0x40u) // in a queue's buffer: where its indirect descriptors are

// --- Rings: of n entries descriptors first, at 16 n what is available, at 20 n what is used

static inline uint64_t desc_of(uint32_t queue)
{
	return RING_ROOM * queue;
}

static inline uint64_t avail_of(const struct driver *v, uint32_t queue)
{
	return desc_of(queue) + 16 * v->size[queue];
}

static inline uint64_t used_of(const struct driver *v, uint32_t queue)
{
	return desc_of(queue) + 20 * v->size[queue];
}

static inline uint32_t ring_bytes(const struct driver *v, uint32_t queue)
{
	return 32 * v->size[queue];
}

static inline void set_up_queue(struct driver *v, uint32_t queue, uint32_t size)
{
	struct virtio_queue *q = virtio_queue_at(v->d, queue);

	if (!virtio_queue_writable(q))
		return;
	v->size[queue] = size;
	q->size = (uint16_t)size;
	q->desc = desc_of(queue);
	q->avail = avail_of(v, queue);
	q->used = used_of(v, queue);
	virtio_queue_enable(q);
}

// --- Status

// Up to DRIVER_OK. The input says which of the features 0 to 31 are declined, and which queue, if
// it is one, is not set up. `size` may be more than the device offered.
static inline void probe(struct driver *v, struct input *in, uint32_t size)
{
	struct virtio_dev *d = v->d;
	uint32_t declined = (uint32_t)take(in, 4), left_out = (uint32_t)take(in, 1);
	{
		LOCKED(&d->dev.lock);
		virtio_accept(d, 0, virtio_offered(d, 0) & ~declined);
		virtio_accept(d, 1, virtio_offered(d, 1));
		virtio_set_status(d, 0x0b);
		for (uint32_t i = 1; i <= d->queue_count; i++)
			if (i != left_out)
				set_up_queue(v, i - 1, size);
		virtio_set_status(d, 0x0f);
	}
	pump(v);
}

// Returns when the device is idle: a worker may have to end requests.
static inline void reset_device(struct driver *v)
{
	{
		LOCKED(&v->d->dev.lock);
		virtio_set_status(v->d, 0);
	}
	do {
		pump(v);
	} while (virtio_wait_idle(v->d, 0));
}

static inline void start_over(struct driver *v)
{
	reset_device(v);
	for (uint32_t i = 0; i < v->d->queue_count; i++)
		memset(v->ram + desc_of(i), 0, ring_bytes(v, i));
}

// --- Chains

static inline uint64_t buffer_at(uint32_t queue)
{
	return BUFFERS + BUFFER_ROOM * queue;
}

// `desc` have their flags; `next` is filled in. With `skip` 0 they take the next places of the
// table that a driver would use whose chains are all as long as this one.
struct chain {
	uint32_t queue, count;
	uint16_t skip;
	bool many; // as many as the ring has room for, by indirect descriptors of one table
	struct vring_desc desc[4];
};

static inline void put_descriptor(struct driver *v, uint32_t queue, uint32_t place,
				  const struct vring_desc *d)
{
	memcpy(v->ram + desc_of(queue) + place % v->size[queue] * sizeof(*d), d, sizeof(*d));
}

static inline void put_table(struct driver *v, const struct chain *c, struct vring_desc *ret)
{
	uint64_t table = buffer_at(c->queue) + TABLE;

	for (uint32_t i = 0; i < c->count; i++) {
		struct vring_desc d = c->desc[i];
		d.next = (uint16_t)(i + 1);
		memcpy(v->ram + table + i * sizeof(d), &d, sizeof(d));
	}
	*ret = (struct vring_desc){ .addr = table,
				    .len = c->count * (uint32_t)sizeof(*ret),
				    .flags = VRING_DESC_F_INDIRECT };
}

static inline void put_chain(struct driver *v, const struct chain *c, uint32_t head)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct vring_desc d = c->desc[i];
		d.next = (uint16_t)((head + i + 1) % v->size[c->queue]);
		put_descriptor(v, c->queue, head + i, &d);
	}
}

static inline void offer(struct driver *v, const struct chain *c)
{
	uint32_t size = v->size[c->queue], count = 1;
	uint8_t *avail = v->ram + avail_of(v, c->queue), *used = v->ram + used_of(v, c->queue);
	struct vring_desc indirect = { 0 };
	uint16_t idx, done;

	memcpy(&idx, avail + 2, 2);
	memcpy(&done, used + 2, 2);
	uint32_t place = c->skip + idx * (c->many ? 1 : c->count);
	if (c->many) {
		count = size - (uint16_t)(idx - done) % (size + 1);
		put_table(v, c, &indirect);
	} else {
		put_chain(v, c, place);
	}
	for (uint32_t i = 0; i < count; i++, idx++) {
		uint16_t head = (uint16_t)((place + i) % size);
		if (c->many)
			put_descriptor(v, c->queue, head, &indirect);
		memcpy(avail + 4 + idx % size * 2, &head, 2);
	}
	memcpy(avail + 2, &idx, 2);
}

// --- Steps that all targets have

static inline void scribble(struct driver *v, struct input *in)
{
	uint32_t queue = (uint32_t)take(in, 1) % v->d->queue_count;
	uint64_t at = desc_of(queue) + take(in, 2) % ring_bytes(v, queue);

	take_into(in, v->ram + at, take(in, 1));
}

static inline void write_config(struct driver *v, struct input *in, uint32_t size)
{
	uint64_t offset = take(in, 1) % 64, value = take(in, 4);

	LOCKED(&v->d->dev.lock);
	virtio_config_write(v->d, offset, size, value);
}

static inline void reset_queue(struct driver *v, uint32_t queue)
{
	LOCKED(&v->d->dev.lock);
	virtio_queue_reset(virtio_queue_at(v->d, queue % v->d->queue_count));
}

// The first of the 16 kinds that there are. False: it is one of the target's own.
static inline bool common_step(struct driver *v, struct input *in, uint8_t what)
{
	switch (what % 16) {
	case 0:
		start_over(v);
		return true;
	case 1:
		probe(v, in, 8u << (what >> 4 & 7));
		return true;
	case 2:
		scribble(v, in);
		return true;
	case 3:
		write_config(v, in, 1u << (what >> 4 & 3));
		return true;
	case 4:
		reset_queue(v, what >> 4);
		return true;
	case 5:
		pump(v);
		return true;
	default:
		return false;
	}
}

// --- States

// What the input makes of a state behind its version; whether it did.
static inline bool mangle(struct input *in, void *state, size_t size)
{
	if (!(take(in, 1) & 1))
		return false;
	take_into(in, (uint8_t *)state + 4, take(in, 2) % (size - 3));
	return true;
}

// While the device rests: what the target saves of its own comes next, then restart().
static inline void save_rings(struct driver *v, struct virtio_state *ret)
{
	virtio_ask_pause(v->d);
	do {
		pump(v);
	} while (virtio_wait_quiet(v->d, 0));
	MUST(!virtio_save(v->d, ret));
}

static inline void restart(struct driver *v)
{
	virtio_ask_resume(v->d);
	reset_device(v);
}

static inline void load_rings(struct driver *v, const struct virtio_state *rings)
{
	MUST(!virtio_load(v->d, rings));
	pump(v);
}

#endif
