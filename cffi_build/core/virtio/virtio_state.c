// SPDX-License-Identifier: Apache-2.0
// Registers and ring positions of a virtio device, as a saved machine keeps them.
#include "virtio_impl.h"

static void save_queue(struct virtio_queue *q, struct virtio_state *ret)
{
	struct vq_config c = { .last_avail = q->last_avail, .used_idx = q->used_idx };
	uint32_t i = q->index;

	if (q->live) {
		// Stopping is how a ring tells where it stands; on the same terms it goes on.
		vq_stop(&q->vq, &c);
		if (vq_start(&q->vq, q->d->mem, &q->d->gdev, &c))
			atomic_store(&q->d->broken, true);
	}
	ret->enabled[i] = q->enabled;
	ret->size[i] = q->size;
	ret->desc[i] = q->desc;
	ret->avail[i] = q->avail;
	ret->used[i] = q->used;
	ret->last_avail[i] = c.last_avail;
	ret->used_idx[i] = c.used_idx;
}

int virtio_save(struct virtio_dev *d, struct virtio_state *ret)
{
	uint32_t phase = atomic_load(&d->phase);

	if (phase != VIRTIO_IDLE && !atomic_load(&d->quiet))
		return -EBUSY;
	LOCKED(&d->dev.lock);
	*ret = (struct virtio_state){
		.version = VIRTIO_STATE_VERSION,
		.queue_count = d->queue_count,
		.config_len = d->config_len,
		.acked = d->acked,
		.status = d->status,
		.generation = d->generation,
		.running = phase == VIRTIO_RUNNING,
	};
	memcpy(ret->config, d->config, d->config_len);
	for (uint32_t i = 0; i < d->queue_count; i++)
		save_queue(&d->queue[i], ret);
	return 0;
}

static bool fits(const struct virtio_dev *d, const struct virtio_state *s)
{
	if (s->version != VIRTIO_STATE_VERSION || s->queue_count != d->queue_count ||
	    s->config_len != d->config_len ||
	    s->status & ~(VIRTIO_DRIVER_STATUS | VIRTIO_CONFIG_S_NEEDS_RESET) || s->running > 1)
		return false;
	bool agreed = d->legacy || s->status & VIRTIO_CONFIG_S_FEATURES_OK;
	if ((agreed && s->acked & ~d->offered) || (s->running && !agreed))
		return false;
	for (uint32_t i = 0; i < d->queue_count; i++) {
		if (s->enabled[i] > 1)
			return false;
	}
	return true;
}

int virtio_load(struct virtio_dev *d, const struct virtio_state *state)
{
	if (!fits(d, state))
		return -EINVAL;
	LOCKED(&d->dev.lock);
	if (atomic_load(&d->phase) != VIRTIO_IDLE)
		return -EBUSY;
	d->acked = state->acked;
	d->status = state->status;
	d->generation = state->generation;
	atomic_store(&d->broken, state->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	memcpy(d->config, state->config, d->config_len);
	for (uint32_t i = 0; i < d->queue_count; i++) {
		struct virtio_queue *q = &d->queue[i];
		q->enabled = state->enabled[i];
		q->size = state->size[i];
		q->desc = state->desc[i];
		q->avail = state->avail[i];
		q->used = state->used[i];
		q->last_avail = state->last_avail[i];
		q->used_idx = state->used_idx[i];
	}
	if (state->running) {
		atomic_store(&d->phase, VIRTIO_RUNNING);
		virtio_ask(d, VIRTIO_ASK_START);
	}
	return 0;
}
