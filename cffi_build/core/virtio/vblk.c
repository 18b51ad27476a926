// SPDX-License-Identifier: Apache-2.0
// The life of a virtio disk: its registers, its rings, its rests.
#include "vblk.h"

#include "vblk_impl.h"

enum {
	ROUNDS = 4, // of looking for more requests, until others have their turn
};

static struct vblk *of(struct virtio_dev *d)
{
	return container_of(d, struct vblk, vdev);
}

// --- Rings

// Shows the driver what is done.
static void flush_queues(struct vblk *v)
{
	for (uint32_t i = 0; i < v->queues; i++) {
		if (!v->queue[i].used)
			continue;
		v->queue[i].used = false;
		if (vq_flush(&v->vdev.queue[i].vq))
			virtio_interrupt(&v->vdev, i);
	}
}

// What was waited for may be reached.
static void settle(struct vblk *v)
{
	v->queue_stopping = false;
	for (uint32_t i = 0; i < v->queues; i++) {
		if (!v->queue[i].in_flight)
			virtio_queue_stopped(&v->vdev, i);
		else if (v->vdev.queue[i].stopping)
			v->queue_stopping = true;
	}
	if (v->in_flight || v->syncing)
		return;
	if (v->vdev.paused)
		virtio_quiesced(&v->vdev);
	if (v->stopping) {
		v->stopping = false;
		virtio_stopped(&v->vdev);
	}
}

static void sync_done(struct blk_request *r, int err)
{
	struct vblk *v = container_of(r, struct vblk, sync);

	v->syncing = false;
	if (err)
		loop_post_once(v->vdev.loop, VBLK_EVENT_ERROR, (uint64_t)-err, &v->vdev);
}

// The cache was turned off: what was written before has to follow, also what is being written. No
// driver will flush it.
static void sync_if_owed(struct vblk *v)
{
	if (likely(!atomic_load_explicit(&v->sync_owed, memory_order_acquire)) || v->syncing ||
	    v->in_cache)
		return;
	atomic_store(&v->sync_owed, false);
	v->syncing = true;
	v->sync = (struct blk_request){ .op = BLK_FLUSH, .done = sync_done };
	blk_submit(v->blk, &v->sync);
	blk_kick(v->blk);
}

void vblk_batch(void *opaque)
{
	struct vblk *v = opaque;

	sync_if_owed(v);
	flush_queues(v);
	if (unlikely(v->stopping || v->queue_stopping || v->vdev.paused))
		settle(v);
}

static void kick(struct virtio_dev *d, uint32_t queue)
{
	struct vblk *v = of(d);
	struct vq *vq = &d->queue[queue].vq;

	sync_if_owed(v);
	for (int round = 0; round < ROUNDS; round++) {
		vq_kicks_off(vq);
		vblk_take(v, queue);
		blk_kick(v->blk);
		vblk_batch(v);
		if (!vq_kicks_on(vq) || !virtio_queue_live(d, queue))
			return;
	}
	virtio_again(d, queue);
}

static int start(struct virtio_dev *d)
{
	struct vblk *v = of(d);

	LOCKED(&d->dev.lock);
	atomic_store(&v->writeback, d->config[offsetof(struct virtio_blk_config, wce)]);
	return 0;
}

static void stop(struct virtio_dev *d)
{
	of(d)->stopping = true;
	sync_if_owed(of(d));
	settle(of(d));
}

static void queue_stop(struct virtio_dev *d, uint32_t queue)
{
	(void)queue;
	settle(of(d));
}

static void quiesce(struct virtio_dev *d)
{
	sync_if_owed(of(d));
	flush_queues(of(d)); // what that found done
	settle(of(d));
}

// --- Registers

static void config_written(struct virtio_dev *d, uint32_t offset, uint32_t size)
{
	struct vblk *v = of(d);
	uint8_t *wce = &d->config[offsetof(struct virtio_blk_config, wce)];

	(void)offset;
	(void)size;
	*wce &= 1; // GUEST: 5.2.4 knows 0 and 1
	// Who sees that a sync is owed sees as well that writes are stable from now on.
	if (atomic_exchange(&v->writeback, *wce) && !*wce) {
		atomic_store(&v->sync_owed, true);
		virtio_again(d, 0);
	}
}

static void reset(struct virtio_dev *d)
{
	struct vblk *v = of(d);

	d->config[offsetof(struct virtio_blk_config, wce)] = 1;
	atomic_store(&v->writeback, true);
	atomic_store(&v->sync_owed, false);
}

const struct virtio_ops vblk_ops = {
	.start = start,
	.kick = kick,
	.stop = stop,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.config_written = config_written,
	.reset = reset,
};
