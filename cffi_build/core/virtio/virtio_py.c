// SPDX-License-Identifier: Apache-2.0
#include "virtio_py.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include "virtio_impl.h"

static struct vq *ring(struct virtio_dev *d, uint32_t queue)
{
	return &d->queue[queue].vq;
}

static const struct virtio_api api = {
	.size = sizeof(struct virtio_api),
	.pop = vq_pop,
	.unpop = vq_unpop,
	.push = vq_push,
	.flush = vq_flush,
	.kicks_on = vq_kicks_on,
	.ring = ring,
	.interrupt = virtio_interrupt,
	.again = virtio_again,
	.needs_reset = virtio_needs_reset,
};

static struct virtio_py *of(struct virtio_dev *d)
{
	return container_of(d, struct virtio_py, vdev);
}

static int start(struct virtio_dev *d)
{
	of(d)->notes.start = true;
	virtio_nudge(of(d)->event_fd);
	return 0;
}

static void kick(struct virtio_dev *d, uint32_t queue)
{
	struct virtio_py *p = of(d);

	if (p->native[queue]) {
		p->native[queue](&api, d, queue, p->native_opaque[queue]);
		return;
	}
	p->notes.kick[queue / 64] |= 1ull << queue % 64;
	virtio_nudge(p->event_fd);
}

static void stop(struct virtio_dev *d)
{
	of(d)->notes.stop = true;
	virtio_nudge(of(d)->event_fd);
}

static void queue_stop(struct virtio_dev *d, uint32_t queue)
{
	of(d)->notes.queue_stop[queue / 64] |= 1ull << queue % 64;
	virtio_nudge(of(d)->event_fd);
}

static void quiesce(struct virtio_dev *d)
{
	of(d)->notes.quiesce = true;
	virtio_nudge(of(d)->event_fd);
}

static void config_written(struct virtio_dev *d, uint32_t offset, uint32_t size)
{
	(void)offset, (void)size;
	atomic_store(&of(d)->config_written, true);
	virtio_nudge(of(d)->event_fd);
}

static const struct virtio_ops py_ops = {
	.start = start,
	.kick = kick,
	.stop = stop,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.config_written = config_written,
};

struct virtio_py *virtio_py_create(const struct virtio_py_setup *setup)
{
	const struct virtio_setup core = {
		.device_id = setup->device_id,
		.features = setup->features,
		.queue_count = setup->queue_count,
		.queue_size = setup->queue_size,
		.config_len = setup->config_len,
		.mem = setup->mem,
		.loop = setup->loop,
		.ops = &py_ops,
	};
	struct virtio_py *p = calloc(1, sizeof(*p));
	int err = 0;

	if (!p)
		return NULL;
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event_fd < 0)
		err = errno;
	else
		err = -virtio_init(&p->vdev, &core);
	if (err) {
		if (p->event_fd >= 0)
			close(p->event_fd);
		free(p);
		errno = err;
		return NULL;
	}
	return p;
}

void virtio_py_destroy(struct virtio_py *p)
{
	if (!p)
		return;
	virtio_deinit(&p->vdev);
	close(p->event_fd);
	free(p);
}

void virtio_py_serve(struct virtio_py *p, uint32_t queue, virtio_native_fn fn, void *opaque)
{
	p->native[queue] = fn;
	p->native_opaque[queue] = opaque;
}

void virtio_py_take(struct virtio_py *p, struct virtio_py_notes *ret)
{
	uint64_t count;
	ssize_t n = read(p->event_fd, &count, sizeof(count));

	(void)n; // nothing there is fine
	*ret = p->notes;
	ret->config = atomic_exchange(&p->config_written, false);
	p->notes = (struct virtio_py_notes){ 0 };
}

void virtio_py_config(struct virtio_py *p, uint8_t ret[VIRTIO_CONFIG_MAX])
{
	LOCKED(&p->vdev.dev.lock);
	memcpy(ret, p->vdev.config, VIRTIO_CONFIG_MAX);
}
