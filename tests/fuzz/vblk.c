// SPDX-License-Identifier: Apache-2.0
// The disk: a driver that puts any request into its rings, cut as it likes, on an image that grows
// and shrinks, with resets, queue resets, pauses and saved states at any moment. Workers do their
// work when the input says so.
#define _GNU_SOURCE // memfd_create(2)
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "vblk.h"
#include "virtio_regs.h"

#define QUEUES 2
#define RING 8 // entries
#define MEMORY 0x10000
#define BUFFERS 0x4000
#define SECTORS 64
#define TICK (LOOP_USER + 1000)

struct rig {
	struct gmem *m;
	uint8_t *ram;
	struct loop *loop;
	int tick, file;
	struct blk *blk;
	struct vblk *v;
};

static void interrupt(void *opaque, int queue)
{
	(void)opaque;
	MUST(queue >= -1 && queue < QUEUES);
}

static void reset_registers(void *opaque, int queue)
{
	(void)opaque;
	(void)queue;
}

static const struct virtio_transport transport = { .interrupt = interrupt,
						   .reset = reset_registers };

static void on_tick(void *opaque, uint32_t events)
{
	struct rig *r = opaque;
	uint64_t count;

	(void)events;
	MUST(read(r->tick, &count, sizeof(count)) == sizeof(count));
	MUST(!loop_post(r->loop, TICK, 0, r));
}

static void *work(void *opaque)
{
	blk_work(opaque);
	return NULL;
}

// Runs the loop for whatever is ready now, twice, as one handler causes another's event.
static void pump(struct rig *r)
{
	struct loop_event event;
	uint64_t one = 1;

	for (int i = 0; i < 2; i++) {
		MUST(write(r->tick, &one, sizeof(one)) == sizeof(one));
		do {
			MUST(!loop_run(r->loop, &event));
		} while (event.kind != TICK);
	}
}

static uint64_t ring_at(uint32_t queue)
{
	return 0x400 * queue;
}

static void set_status(struct rig *r, uint8_t status)
{
	LOCKED(&r->v->vdev.dev.lock);
	virtio_set_status(&r->v->vdev, status);
}

static void probe(struct rig *r, uint8_t how)
{
	struct virtio_dev *d = &r->v->vdev;
	{
		LOCKED(&d->dev.lock);
		virtio_accept(d, 0, virtio_offered(d, 0) & ~((uint32_t)how << 8));
		virtio_accept(d, 1, virtio_offered(d, 1));
		virtio_set_status(d, 0x0b);
		for (uint32_t i = 0; i < d->queue_count; i++) {
			struct virtio_queue *q = virtio_queue_at(d, i);
			if (!virtio_queue_writable(q))
				continue;
			q->size = RING;
			q->desc = ring_at(i);
			q->avail = ring_at(i) + 0x80;
			q->used = ring_at(i) + 0x100;
			virtio_queue_enable(q);
		}
		virtio_set_status(d, 0x0f);
	}
	pump(r);
}

// Returns when the device is idle: requests under way end on the worker's thread.
static void again(struct rig *r)
{
	set_status(r, 0);
	do {
		pump(r);
	} while (virtio_wait_idle(&r->v->vdev, 0));
	memset(r->ram, 0, BUFFERS);
}

// A chain of up to five descriptors: the header and data or a segment, then room and the status.
static void request(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1), shape = (uint8_t)take(in, 1);
	uint64_t at = ring_at(how & 1), buffer = BUFFERS + (how & 1) * 0x4000u;
	uint32_t out = 16, room = (shape & 7) * 512u + 1;
	struct virtio_blk_outhdr header = { .type = (uint32_t)take(in, 1) % 16,
					    .sector = take(in, 1) };
	uint16_t idx, head;

	if (shape & 0x80)
		header.sector = take(in, 8);
	if (shape & 0x40)
		room = (uint32_t)take(in, 2) % 0x2000;
	memcpy(r->ram + buffer, &header, sizeof(header));
	if (header.type == VIRTIO_BLK_T_OUT)
		out += (shape >> 3 & 7) * 512u;
	bool clears =
		header.type == VIRTIO_BLK_T_DISCARD || header.type == VIRTIO_BLK_T_WRITE_ZEROES;
	for (uint32_t n = 0; clears && n <= (shape >> 3 & 3); n++) {
		struct virtio_blk_discard_write_zeroes segment = { take(in, 1),
								   (uint32_t)take(in, 1),
								   (uint32_t)take(in, 1) & 3 };
		memcpy(r->ram + buffer + out, &segment, sizeof(segment));
		out += (uint32_t)sizeof(segment);
	}
	if (how & 2)
		out = (uint32_t)take(in, 2) % 0x1800;
	uint32_t cut = how & 4 ? (uint32_t)take(in, 1) % 24 : 0;
	cut = cut < out ? cut : out;
	memcpy(&idx, r->ram + at + 0x82, 2);
	head = (uint16_t)(idx % 2 * 4);
	struct vring_desc desc[] = {
		{ buffer, cut, 1, (uint16_t)(head + 1) },
		{ buffer + cut, out - cut, 1, (uint16_t)(head + 2) },
		{ buffer + 0x2000, room, (uint16_t)(how & 8 ? 3 : 2), (uint16_t)(head + 3) },
		{ buffer + 0x3f00, 1, 2, 0 },
	};
	memcpy(r->ram + at + head * 16, desc, sizeof(desc));
	memcpy(r->ram + at + 0x84 + idx % RING * 2, &head, 2);
	idx++;
	memcpy(r->ram + at + 0x82, &idx, 2);
	virtio_notify(&r->v->vdev, how & 1);
}

static void scribble(struct rig *r, struct input *in)
{
	uint64_t at = take(in, 2) % (BUFFERS - 0xff);

	take_into(in, r->ram + at, take(in, 1));
}

static void state_step(struct rig *r, struct input *in)
{
	struct virtio_dev *d = &r->v->vdev;
	struct virtio_state rings;
	struct vblk_state state;

	virtio_ask_pause(d);
	do {
		pump(r);
	} while (virtio_wait_quiet(d, 0));
	MUST(!r->v->in_flight);
	MUST(!virtio_save(d, &rings));
	vblk_save(r->v, &state);
	virtio_ask_resume(d);
	again(r);
	if (take(in, 1) & 1) {
		take_into(in, &state, sizeof(state));
		int err = vblk_load(r->v, &state);
		MUST(!err || err == -EINVAL);
	} else {
		MUST(!vblk_load(r->v, &state));
	}
	MUST(!virtio_load(d, &rings));
	pump(r);
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);
	struct virtio_dev *d = &r->v->vdev;

	switch (what % 16) {
	case 0:
		again(r);
		break;
	case 1:
		probe(r, (uint8_t)take(in, 1));
		break;
	case 2:
		scribble(r, in);
		break;
	case 3:
		state_step(r, in);
		break;
	case 4: {
		LOCKED(&d->dev.lock);
		virtio_config_write(d, take(in, 1) % 64, 1u << (what >> 4 & 3), take(in, 4));
		break;
	}
	case 5: {
		LOCKED(&d->dev.lock);
		virtio_queue_reset(virtio_queue_at(d, (what >> 4) % QUEUES));
		break;
	}
	case 6:
		MUST(!ftruncate(r->file, (off_t)(take(in, 1) % SECTORS) * BLK_SECTOR));
		MUST(!ftruncate(r->file, SECTORS * BLK_SECTOR));
		break;
	case 7:
	case 8:
		pump(r);
		break;
	default:
		request(r, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { 0 }, *r = &rig;
	pthread_t worker;

	MUST((r->m = gmem_create()) && (r->ram = calloc(1, MEMORY)) && (r->loop = loop_create()));
	MUST(!gmem_add(r->m, 0, MEMORY, r->ram, 0));
	MUST((r->tick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
	MUST(loop_add(r->loop, r->tick, EPOLLIN, on_tick, r) >= 0);
	MUST((r->file = memfd_create("disk", MFD_CLOEXEC)) >= 0);
	MUST(!ftruncate(r->file, SECTORS * BLK_SECTOR));
	uint8_t first = (uint8_t)take(&in, 1);
	const struct blk_setup back = { .loop = r->loop,
					.fd = r->file,
					.direct_fd = -1,
					.engine = BLK_THREADS,
					.depth = QUEUES * VBLK_QUEUE_SIZE };
	MUST((r->blk = blk_create(&back)));
	MUST(!pthread_create(&worker, NULL, work, r->blk));
	const struct vblk_setup setup = { .mem = r->m,
					  .loop = r->loop,
					  .blk = r->blk,
					  .sectors = SECTORS,
					  .queues = QUEUES,
					  .read_only = first & 1,
					  .block_size = BLK_SECTOR,
					  .physical_size = 4096 };
	MUST((r->v = vblk_create(&setup)));
	virtio_connect(&r->v->vdev, &transport, r, false);
	probe(r, first >> 1 & 0x7f);
	while (in.left)
		one_step(r, &in);
	again(r);
	blk_stop(r->blk);
	MUST(!pthread_join(worker, NULL));
	vblk_destroy(r->v);
	blk_destroy(r->blk);
	loop_destroy(r->loop);
	close(r->tick);
	close(r->file);
	gmem_destroy(r->m);
	free(r->ram);
	return 0;
}
