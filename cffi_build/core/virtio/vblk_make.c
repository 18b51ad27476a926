// SPDX-License-Identifier: Apache-2.0
// Making and unmaking a virtio disk, and what it says of itself.
#include <stdlib.h>

#include "vblk.h"
#include "vblk_impl.h"

enum {
	CONFIG_LEN = offsetof(struct virtio_blk_config, unused1) + 3,
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
		.max_discard_seg = VBLK_SEGMENTS,
		.discard_sector_alignment = setup->physical_size / BLK_SECTOR,
		.max_write_zeroes_sectors = VBLK_MAX_DISCARD_SECTORS,
		.max_write_zeroes_seg = VBLK_SEGMENTS,
		.write_zeroes_may_unmap = 1,
	};

	memcpy(v->vdev.config, &config, CONFIG_LEN);
	v->vdev.config_wmask[offsetof(struct virtio_blk_config, wce)] = 0xff;
	atomic_store(&v->writeback, true);
}

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
	blk_connect(v->blk, vblk_batch, v);
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
