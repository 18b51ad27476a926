// SPDX-License-Identifier: Apache-2.0
// Status, features, queues and configuration space as the driver writes them.
#include "virtio_regs.h"

#include "virtio_impl.h"

void virtio_connect(struct virtio_dev *d, const struct virtio_transport *t, void *opaque,
		    bool legacy)
{
	d->transport = t;
	d->transport_opaque = opaque;
	d->legacy = legacy;
}

void virtio_transport_changed(struct virtio_dev *d)
{
	if (atomic_load(&d->phase) == VIRTIO_RUNNING)
		virtio_ask(d, VIRTIO_ASK_CHANGED);
}

// A device that is given up before it has a transport is reset like any other.
static void reset_transport(struct virtio_dev *d, int queue)
{
	if (d->transport)
		d->transport->reset(d->transport_opaque, queue);
}

void virtio_reset_queue(struct virtio_queue *q)
{
	q->size = q->max_size;
	q->desc = q->avail = q->used = 0;
	q->enabled = q->resetting = q->start_asked = false;
	q->last_avail = q->used_idx = 0;
	reset_transport(q->d, (int)q->index);
}

void virtio_reset_registers(struct virtio_dev *d)
{
	count_add(&d->resets, 1);
	d->status = 0;
	d->acked = 0;
	d->requests &= VIRTIO_ASK_PAUSE | VIRTIO_ASK_RESUME;
	atomic_store(&d->broken, false);
	for (uint32_t i = 0; i < d->queue_count; i++)
		virtio_reset_queue(&d->queue[i]);
	reset_transport(d, -1);
	if (d->ops->reset)
		d->ops->reset(d);
}

// --- Status (2.1) and features (2.2)

static void reset(struct virtio_dev *d)
{
	uint32_t phase = atomic_load(&d->phase);

	if (phase == VIRTIO_IDLE) {
		virtio_reset_registers(d);
	} else if (phase == VIRTIO_RUNNING) {
		atomic_store(&d->phase, VIRTIO_STOPPING);
		virtio_ask(d, VIRTIO_ASK_RESET);
	}
}

// Whether FEATURES_OK is refused, and for which features (0: for how they go together).
static bool objection(struct virtio_dev *d, uint64_t *ret)
{
	*ret = (d->acked & ~d->offered) | (d->required & d->offered & ~d->acked);
	return *ret || (d->ops->features_ok && !d->ops->features_ok(d, d->acked));
}

static void run(struct virtio_dev *d)
{
	if (atomic_load(&d->phase) == VIRTIO_IDLE) {
		count_add(&d->starts, 1);
		atomic_store(&d->phase, VIRTIO_RUNNING);
		virtio_ask(d, VIRTIO_ASK_START);
	}
}

void virtio_set_status(struct virtio_dev *d, uint8_t value)
{
	uint8_t added = (uint8_t)(value & ~d->status & VIRTIO_DRIVER_STATUS);

	if (!value) {
		reset(d);
		return;
	}
	if (atomic_load(&d->phase) == VIRTIO_STOPPING) {
		virtio_ignore(d);
		return;
	}
	uint64_t against;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !d->legacy && objection(d, &against)) {
		added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
		count_add(&d->refused, 1);
		loop_post_once(d->loop, VIRTIO_EVENT_REFUSED, against, d);
	}
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && !d->legacy &&
	    !((d->status | added) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		added &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
		virtio_ignore(d);
	}
	d->status |= added;
	if (added & VIRTIO_CONFIG_S_FAILED)
		loop_post_once(d->loop, VIRTIO_EVENT_FAILED, 0, d);
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		run(d);
}

uint32_t virtio_offered(const struct virtio_dev *d, uint32_t word)
{
	return word < 2 ? (uint32_t)(d->offered >> (32 * word)) : 0;
}

uint32_t virtio_acked(const struct virtio_dev *d, uint32_t word)
{
	return word < 2 ? (uint32_t)(d->acked >> (32 * word)) : 0;
}

void virtio_accept(struct virtio_dev *d, uint32_t word, uint32_t bits)
{
	bool late = d->status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);

	if (late || word > 1 || atomic_load(&d->phase) != VIRTIO_IDLE) {
		// A word of zeros beyond the last is what a thorough driver may write.
		if (late || bits)
			virtio_ignore(d);
		return;
	}
	d->acked &= ~(UINT64_C(0xffffffff) << (32 * word));
	d->acked |= (uint64_t)bits << (32 * word);
	if (d->legacy)
		d->acked &= d->offered;
}

// --- Queues (4.1.4.3)

bool virtio_queue_writable(struct virtio_queue *q)
{
	bool ok = !q->enabled && atomic_load(&q->d->phase) != VIRTIO_STOPPING;

	if (!ok)
		virtio_ignore(q->d);
	return ok;
}

void virtio_queue_enable(struct virtio_queue *q)
{
	struct virtio_dev *d = q->d;

	if (!virtio_queue_writable(q))
		return;
	q->enabled = true;
	if (d->legacy)
		run(d);
	if (atomic_load(&d->phase) == VIRTIO_RUNNING) {
		q->start_asked = true;
		virtio_ask(d, VIRTIO_ASK_QUEUES);
	}
}

void virtio_queue_reset(struct virtio_queue *q)
{
	struct virtio_dev *d = q->d;
	uint32_t phase = atomic_load(&d->phase);

	bool may = d->legacy || virtio_has(d, VIRTIO_F_RING_RESET);

	if (!may || !q->enabled || phase == VIRTIO_STOPPING) {
		virtio_ignore(d);
	} else if (phase == VIRTIO_IDLE) {
		virtio_reset_queue(q);
	} else if (!q->resetting) {
		q->resetting = true;
		virtio_ask(d, VIRTIO_ASK_QUEUES);
	}
}

void virtio_notify(struct virtio_dev *d, uint32_t index)
{
	if (index < d->queue_count)
		virtio_nudge(d->queue[index].kick_fd);
	else
		virtio_ignore(d);
}

// --- Configuration space (2.5)

uint64_t virtio_config_read(struct virtio_dev *d, uint64_t offset, uint32_t size)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < size; i++) {
		uint64_t at = offset + i;
		value |= (uint64_t)(at < d->config_len ? d->config[at] : 0xff) << (8 * i);
	}
	return value;
}

void virtio_config_write(struct virtio_dev *d, uint64_t offset, uint32_t size, uint64_t value)
{
	uint32_t changed = 0;

	if (atomic_load(&d->phase) == VIRTIO_STOPPING || offset >= d->config_len ||
	    size > d->config_len - offset) {
		virtio_ignore(d);
		return;
	}
	for (uint32_t i = 0; i < size; i++) {
		uint8_t mask = d->config_wmask[offset + i], byte = (uint8_t)(value >> (8 * i));
		uint8_t *at = &d->config[offset + i];
		changed |= mask;
		*at = (uint8_t)((*at & ~mask) | (byte & mask));
	}
	if (!changed)
		virtio_ignore(d);
	else if (d->ops->config_written)
		d->ops->config_written(d, (uint32_t)offset, size);
}
