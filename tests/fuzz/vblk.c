// SPDX-License-Identifier: Apache-2.0
// The disk: a driver that puts any request into its rings, cut as it likes, on an image that grows
// and shrinks, with resets, queue resets, pauses and saved states at any moment. Workers do their
// work when the input says so.
#define _GNU_SOURCE // memfd_create(2)
#include <fcntl.h>
#include <sys/mman.h>

#include "fuzz_virtio.h"
#include "vblk.h"

#define QUEUES 2
#define SECTORS 64
#define ROOM 0x2000 // in a queue's buffer: where data goes to
#define STATUS 0x3f00

struct rig {
	struct driver driver;
	int file;
	struct blk *blk;
	struct vblk *v;
};

static void *work(void *opaque)
{
	blk_work(opaque);
	return NULL;
}

// What the device reads of a request: its length.
static uint32_t put_request(uint8_t *to, struct input *in, uint8_t shape)
{
	struct virtio_blk_outhdr header = { .type = (uint32_t)take(in, 1) % 16 };

	header.sector = take(in, shape & 0x80 ? 8 : 1);
	memcpy(to, &header, sizeof(header));
	if (header.type == VIRTIO_BLK_T_OUT)
		return sizeof(header) + (shape >> 3 & 7) * 512u;
	if (header.type != VIRTIO_BLK_T_DISCARD && header.type != VIRTIO_BLK_T_WRITE_ZEROES)
		return sizeof(header);
	uint32_t out = sizeof(header);
	for (uint32_t n = 0; n <= (shape >> 3 & 3); n++) {
		struct virtio_blk_discard_write_zeroes segment = { .sector = take(in, 1) };
		segment.num_sectors = (uint32_t)take(in, 1);
		segment.flags = (uint32_t)take(in, 1) & 3;
		memcpy(to + out, &segment, sizeof(segment));
		out += (uint32_t)sizeof(segment);
	}
	return out;
}

// A chain of up to four descriptors: the header and data or a segment, then room and the status.
static void request(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1), shape = (uint8_t)take(in, 1);
	uint32_t queue = how & 1, room = (shape & 7) * 512u + 1;
	uint64_t at = buffer_at(queue);

	if (shape & 0x40)
		room = (uint32_t)take(in, 2) % 0x2000;
	uint32_t out = put_request(r->driver.ram + at, in, shape);
	if (how & 2)
		out = (uint32_t)take(in, 2) % 0x1800;
	uint32_t cut = how & 4 ? (uint32_t)take(in, 1) % 24 : 0;
	cut = cut < out ? cut : out;
	offer(&r->driver,
	      &(struct chain){
		      .queue = queue,
		      .count = 4,
		      .skip = how >> 5 & 4,
		      .many = how & 0x10,
		      .desc = { { at, cut, VRING_DESC_F_NEXT, 0 },
				{ at + cut, out - cut, VRING_DESC_F_NEXT, 0 },
				{ at + ROOM, room,
				  VRING_DESC_F_WRITE | (how & 8 ? VRING_DESC_F_NEXT : 0), 0 },
				{ at + STATUS, 1, VRING_DESC_F_WRITE, 0 } },
	      });
	virtio_notify(&r->v->vdev, queue);
}

static void state_step(struct rig *r, struct input *in)
{
	struct virtio_state rings;
	struct vblk_state state;

	save_rings(&r->driver, &rings);
	MUST(!r->v->in_flight);
	vblk_save(r->v, &state);
	restart(&r->driver);
	bool mangled = mangle(in, &state, sizeof(state));
	int err = vblk_load(r->v, &state);
	MUST(!err || (mangled && err == -EINVAL));
	load_rings(&r->driver, &rings);
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);

	if (common_step(&r->driver, in, what))
		return;
	switch (what % 16) {
	case 6:
		state_step(r, in);
		break;
	case 7:
		MUST(!ftruncate(r->file, (off_t)(take(in, 1) % SECTORS) * BLK_SECTOR));
		MUST(!ftruncate(r->file, SECTORS * BLK_SECTOR));
		break;
	default:
		request(r, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { 0 }, *r = &rig;
	uint8_t first = (uint8_t)take(&in, 1);
	pthread_t worker;

	driver_init(&r->driver);
	MUST((r->file = memfd_create("disk", MFD_CLOEXEC)) >= 0);
	MUST(!ftruncate(r->file, SECTORS * BLK_SECTOR));
	const struct blk_setup back = { .loop = r->driver.ticker.loop,
					.fd = r->file,
					.direct_fd = -1,
					.engine = BLK_THREADS,
					.depth = QUEUES * VBLK_QUEUE_SIZE };
	MUST((r->blk = blk_create(&back)));
	MUST(!pthread_create(&worker, NULL, work, r->blk));
	const struct vblk_setup setup = { .mem = r->driver.m,
					  .loop = r->driver.ticker.loop,
					  .blk = r->blk,
					  .sectors = SECTORS,
					  .queues = QUEUES,
					  .read_only = first & 1,
					  .block_size = BLK_SECTOR,
					  .physical_size = 4096 };
	MUST((r->v = vblk_create(&setup)));
	driver_connect(&r->driver, &r->v->vdev);
	probe(&r->driver, &in, 8u << (first >> 1 & 7));
	while (in.left)
		one_step(r, &in);
	reset_device(&r->driver);
	blk_stop(r->blk);
	MUST(!pthread_join(worker, NULL));
	vblk_destroy(r->v);
	blk_destroy(r->blk);
	close(r->file);
	driver_deinit(&r->driver);
	return 0;
}
