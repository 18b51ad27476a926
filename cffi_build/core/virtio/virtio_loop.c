// SPDX-License-Identifier: Apache-2.0
// A virtio device's life on its loop: kicks, start, queue reset, reset, pause.
#include <sys/epoll.h>

#include "virtio_impl.h"

// --- Kicks

static void serve(struct virtio_queue *q)
{
	struct virtio_dev *d = q->d;

	if (virtio_queue_live(d, q->index))
		d->ops->kick(d, q->index);
}

// The eventfd is watched edge-triggered and never read: each write is an event of its own.
static void on_kick(void *opaque, uint32_t events)
{
	struct virtio_queue *q = opaque;

	(void)events;
	count_add(&q->kicks, 1);
	serve(q);
}

static void serve_all(struct virtio_dev *d)
{
	for (uint32_t i = 0; i < d->queue_count; i++)
		serve(&d->queue[i]);
}

// --- Starting and stopping queues

void virtio_forget_queue(struct virtio_queue *q)
{
	struct vq_config config;

	if (!q->live)
		return;
	loop_remove(q->d->loop, q->handle);
	vq_stop(&q->vq, &config);
	q->live = q->stopping = false;
}

void virtio_queue_lend(struct virtio_dev *d, uint32_t queue)
{
	loop_remove(d->loop, d->queue[queue].handle);
	d->queue[queue].handle = -1;
}

static int watch_kicks(struct virtio_queue *q)
{
	q->handle = loop_add(q->d->loop, q->kick_fd, EPOLLIN | EPOLLET, on_kick, q);
	return q->handle < 0 ? q->handle : 0;
}

int virtio_queue_reclaim(struct virtio_dev *d, uint32_t queue)
{
	return watch_kicks(&d->queue[queue]);
}

// What the driver set, if the queue is to be started. GUEST: vq_start() checks all of it.
static bool queue_wanted(struct virtio_queue *q, struct vq_config *ret)
{
	struct virtio_dev *d = q->d;

	LOCKED(&d->dev.lock);
	q->start_asked = false;
	if (!q->enabled || q->resetting || q->live)
		return false;
	*ret = (struct vq_config){
		.size = q->size,
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used,
		.event_idx = virtio_has(d, VIRTIO_RING_F_EVENT_IDX),
		.indirect = virtio_has(d, VIRTIO_RING_F_INDIRECT_DESC),
		.last_avail = q->last_avail,
		.used_idx = q->used_idx,
	};
	return true;
}

// 0 also if it is not to be started.
static int start_queue(struct virtio_queue *q)
{
	struct virtio_dev *d = q->d;
	struct vq_config config;

	if (!queue_wanted(q, &config))
		return 0;
	// GUEST: devices have room for as many chains as they offered.
	int err = config.size > q->max_size ? -EINVAL : vq_start(&q->vq, d->mem, &d->gdev, &config);
	if (!err) {
		err = watch_kicks(q);
		q->live = true;
		if (!err)
			return 0;
		virtio_forget_queue(q);
	}
	virtio_needs_reset(d, err == -EINVAL || err == -EFAULT ? VIRTIO_FAULT_ADDRESS
							       : VIRTIO_FAULT_HOST);
	return err;
}

static void finish_queue(struct virtio_queue *q)
{
	virtio_forget_queue(q);
	LOCKED(&q->d->dev.lock);
	virtio_reset_queue(q);
}

void virtio_queue_stopped(struct virtio_dev *d, uint32_t queue)
{
	if (d->queue[queue].stopping)
		finish_queue(&d->queue[queue]);
}

static void stop_queue(struct virtio_queue *q)
{
	struct virtio_dev *d = q->d;

	if (!d->started || !q->live || !d->ops->queue_stop) {
		finish_queue(q);
	} else if (!q->stopping) {
		q->stopping = true;
		d->ops->queue_stop(d, q->index);
	}
}

static bool is_resetting(struct virtio_queue *q)
{
	LOCKED(&q->d->dev.lock);
	return q->resetting;
}

// Queues that the driver reset, or enabled while the device runs.
static void update_queues(struct virtio_dev *d)
{
	for (uint32_t i = 0; i < d->queue_count; i++) {
		struct virtio_queue *q = &d->queue[i];
		if (is_resetting(q))
			stop_queue(q);
		else if (d->started && !q->live && !start_queue(q))
			serve(q);
	}
}

// --- The device

static void start(struct virtio_dev *d)
{
	for (uint32_t i = 0; i < d->queue_count; i++) {
		if (start_queue(&d->queue[i]))
			return;
	}
	if (d->ops->start && d->ops->start(d)) {
		virtio_needs_reset(d, VIRTIO_FAULT_HOST);
		return;
	}
	d->started = true;
	serve_all(d);
}

void virtio_quiesced(struct virtio_dev *d)
{
	if (d->paused)
		virtio_word_set(&d->quiet, 1);
}

void virtio_stopped(struct virtio_dev *d)
{
	for (uint32_t i = 0; i < d->queue_count; i++)
		virtio_forget_queue(&d->queue[i]);
	{
		LOCKED(&d->dev.lock);
		virtio_reset_registers(d);
		virtio_word_set(&d->phase, VIRTIO_IDLE);
	}
	virtio_quiesced(d);
}

static void stop(struct virtio_dev *d)
{
	bool was = d->started;

	d->started = false;
	if (was && d->ops->stop)
		d->ops->stop(d);
	else
		virtio_stopped(d);
}

static void pause_device(struct virtio_dev *d)
{
	if (d->paused)
		return;
	d->paused = true;
	if (d->started && d->ops->quiesce)
		d->ops->quiesce(d);
	else if (d->started || atomic_load(&d->phase) != VIRTIO_STOPPING)
		virtio_quiesced(d); // else virtio_stopped() is still to come and says so
}

static void resume_device(struct virtio_dev *d)
{
	d->paused = false;
	virtio_word_set(&d->quiet, 0);
	serve_all(d);
}

static void changed(struct virtio_dev *d)
{
	if (d->started && d->ops->changed)
		d->ops->changed(d);
	serve_all(d);
}

void virtio_service(struct virtio_dev *d)
{
	uint32_t asked;

	{
		LOCKED(&d->dev.lock);
		asked = d->requests;
		d->requests = 0;
	}
	if (asked & VIRTIO_ASK_PAUSE)
		pause_device(d);
	if (asked & VIRTIO_ASK_RESUME)
		resume_device(d);
	if (asked & VIRTIO_ASK_RESET)
		stop(d); // whatever else was asked before it is void
	else if (asked & VIRTIO_ASK_START)
		start(d);
	if (asked & VIRTIO_ASK_QUEUES && !(asked & VIRTIO_ASK_RESET))
		update_queues(d);
	if (asked & VIRTIO_ASK_CHANGED && !(asked & VIRTIO_ASK_RESET))
		changed(d);
}
