// SPDX-License-Identifier: Apache-2.0
// The life of a virtio disk: its registers, its rings, its rests.
#include "vblk.h"

#include <stdlib.h>

#include "vblk_impl.h"

enum {
	ROUNDS = 4, // of looking for more requests, until others have their turn
	CONFIG_LEN = offsetof(struct virtio_blk_config, unused1) + 3,
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

static void finish_batch(void *opaque)
{
	struct vblk *v = opaque;

	flush_queues(v);
	if (unlikely(v->stopping || v->queue_stopping || v->vdev.paused))
		settle(v);
}

static void sync_done(struct blk_request *r, int err)
{
	struct vblk *v = container_of(r, struct vblk, sync);

	v->syncing = false;
	if (err)
		loop_post(v->vdev.loop, VBLK_EVENT_ERROR, (uint64_t)-err, &v->vdev);
}

// The cache was turned off: what was written before has to follow.
static void sync_if_owed(struct vblk *v)
{
	if (likely(!atomic_load_explicit(&v->sync_owed, memory_order_relaxed)) || v->syncing)
		return;
	atomic_store(&v->sync_owed, false);
	v->syncing = true;
	v->sync = (struct blk_request){ .op = BLK_FLUSH, .done = sync_done };
	blk_submit(v->blk, &v->sync);
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
		finish_batch(v);
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
	settle(of(d));
}

static void queue_stop(struct virtio_dev *d, uint32_t queue)
{
	(void)queue;
	settle(of(d));
}

static void quiesce(struct virtio_dev *d)
{
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
	if (!*wce && atomic_load(&v->writeback)) {
		atomic_store(&v->sync_owed, true);
		virtio_again(d, 0);
	}
	atomic_store(&v->writeback, *wce);
}

static void reset(struct virtio_dev *d)
{
	struct vblk *v = of(d);

	d->config[offsetof(struct virtio_blk_config, wce)] = 1;
	atomic_store(&v->writeback, true);
	atomic_store(&v->sync_owed, false);
}

static const struct virtio_ops vblk_ops = {
	.start = start,
	.kick = kick,
	.stop = stop,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.config_written = config_written,
	.reset = reset,
};

static uint8_t log2_of(uint32_t power_of_two)
{
	return (uint8_t)__builtin_ctz(power_of_two);
}

static void fill_config(struct vblk *v, const struct vblk_setup *setup)
{
	const struct virtio_blk_config config = {
		.capacity = setup->sectors,
		.seg_max = VBLK_SEG_MAX,
		.blk_size = setup->block_size,
		.physical_block_exp = log2_of(setup->physical_size / setup->block_size),
		.alignment_offset = (uint8_t)setup->alignment,
		.min_io_size = (uint16_t)setup->min_io,
		.opt_io_size = setup->opt_io,
		.wce = 1,
		.num_queues = (uint16_t)setup->queues,
		.max_discard_sectors = VBLK_MAX_DISCARD_SECTORS,
		.max_discard_seg = 1,
		.discard_sector_alignment = setup->physical_size / BLK_SECTOR,
		.max_write_zeroes_sectors = VBLK_MAX_DISCARD_SECTORS,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};

	memcpy(v->vdev.config, &config, CONFIG_LEN);
	v->vdev.config_wmask[offsetof(struct virtio_blk_config, wce)] = 0xff;
	atomic_store(&v->writeback, true);
}

// --- Making and unmaking

static bool is_block(uint32_t size)
{
	return size >= BLK_SECTOR && !(size & (size - 1));
}

static bool can_be(const struct vblk_setup *s)
{
	return s->queues && s->queues <= VBLK_MAX_QUEUES && is_block(s->block_size) &&
	       is_block(s->physical_size) && s->physical_size >= s->block_size &&
	       s->sectors <= INT64_MAX / BLK_SECTOR;
}

static int make_queues(struct vblk *v)
{
	v->queue = calloc(v->queues, sizeof(*v->queue));
	if (!v->queue)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->queues; i++) {
		struct vblk_request *request = calloc(VBLK_QUEUE_SIZE, sizeof(*request));
		if (!request)
			return -ENOMEM;
		v->queue[i].request = request;
	}
	return 0;
}

static void free_queues(struct vblk *v)
{
	for (uint32_t i = 0; v->queue && i < v->queues; i++)
		free(v->queue[i].request);
	free(v->queue);
}

static uint64_t features(const struct vblk_setup *setup)
{
	uint64_t bits = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
			VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) |
			VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE);

	if (setup->queues > 1)
		bits |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	if (setup->read_only)
		return bits | VIRTIO_BIT(VIRTIO_BLK_F_RO);
	return bits | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static int init_core(struct vblk *v, const struct vblk_setup *setup)
{
	uint16_t sizes[VBLK_MAX_QUEUES];
	const struct virtio_setup core = {
		.device_id = VIRTIO_ID_BLOCK,
		.features = features(setup),
		.queue_count = setup->queues,
		.queue_size = sizes,
		.config_len = CONFIG_LEN,
		.mem = setup->mem,
		.loop = setup->loop,
		.ops = &vblk_ops,
	};

	for (uint32_t i = 0; i < setup->queues; i++)
		sizes[i] = VBLK_QUEUE_SIZE;
	return virtio_init(&v->vdev, &core);
}

struct vblk *vblk_create(const struct vblk_setup *setup)
{
	struct vblk *v = can_be(setup) ? calloc(1, sizeof(*v)) : NULL;

	if (!v) {
		errno = can_be(setup) ? ENOMEM : EINVAL;
		return NULL;
	}
	v->blk = setup->blk;
	v->sectors = setup->sectors;
	v->read_only = setup->read_only;
	v->queues = setup->queues;
	memcpy(v->serial, setup->serial, sizeof(v->serial));
	int err = make_queues(v);
	if (!err)
		err = init_core(v, setup);
	if (err) {
		free_queues(v);
		free(v);
		errno = -err;
		return NULL;
	}
	fill_config(v, setup);
	blk_connect(v->blk, finish_batch, v);
	return v;
}

void vblk_destroy(struct vblk *v)
{
	if (!v)
		return;
	virtio_deinit(&v->vdev);
	free_queues(v);
	free(v);
}
