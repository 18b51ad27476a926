// SPDX-License-Identifier: Apache-2.0
// A disk whose back-end ends requests when this program says so: in what order the device asks for
// things, and what it says of failures.
#include <stdatomic.h>

#include "blk.h"
#include "check.h"
#include "vblk.h"
#include "virtio_regs.h"

#define RAM (1u << 20)
#define RING 0x1000 // descriptors; available and used ring follow
#define AVAIL 0x3000
#define USED 0x4000
#define HEADERS 0x10000
#define STATUSES 0x20000
#define DATA 0x30000
#define ENTRIES VBLK_QUEUE_SIZE
#define WCE offsetof(struct virtio_blk_config, wce)

static uint8_t *ram;
static struct loop *loop;
static struct vblk *disk;
static struct virtio_dev *d;
static uint16_t offered;

// --- The back-end

static struct blk_request *held[ENTRIES + 1]; // in the order of their submission
static uint32_t held_count;
static void (*batch)(void *opaque);
static void *batch_opaque;

void blk_connect(struct blk *b, void (*fn)(void *opaque), void *opaque)
{
	batch = fn;
	batch_opaque = opaque;
}

void blk_submit(struct blk *b, struct blk_request *r)
{
	CHECK(held_count < ARRAY_LEN(held));
	held[held_count++] = r;
}

void blk_kick(struct blk *b)
{
}

// Ends the request that was submitted as number `n` of those under way.
static void end(uint32_t n, int err)
{
	struct blk_request *r = held[n];

	CHECK(n < held_count);
	memmove(held + n, held + n + 1, (--held_count - n) * sizeof(held[0]));
	r->done(r, err);
	batch(batch_opaque);
}

static bool is_held(uint32_t n, enum blk_op op, uint8_t flags)
{
	return n < held_count && held[n]->op == op && held[n]->flags == flags;
}

// --- The driver

static void interrupt(void *opaque, int queue)
{
}

static void reset_registers(void *opaque, int queue)
{
}

static const struct virtio_transport transport = { .interrupt = interrupt,
						   .reset = reset_registers };

// Does what was asked of the loop, on this thread.
static void turn(void)
{
	virtio_service(d);
	if (virtio_queue_live(d, 0))
		d->ops->kick(d, 0);
}

static void start(void)
{
	struct virtio_queue *q = virtio_queue_at(d, 0);

	memset(ram, 0, HEADERS);
	offered = 0;
	{
		LOCKED(&d->dev.lock);
		virtio_set_status(d, 3);
		virtio_accept(d, 0, virtio_offered(d, 0) & ~(1u << VIRTIO_RING_F_EVENT_IDX));
		virtio_accept(d, 1, virtio_offered(d, 1));
		virtio_set_status(d, 11);
		q->desc = RING;
		q->avail = AVAIL;
		q->used = USED;
		virtio_queue_enable(q);
		virtio_set_status(d, 15);
		CHECK(d->status == 15);
	}
	turn();
	CHECK(d->started);
}

static void set_cache(uint8_t on)
{
	LOCKED(&d->dev.lock);
	virtio_config_write(d, WCE, 1, on);
}

// A request with descriptors of its own, which gives `len` bytes.
static void ask(uint32_t type, uint32_t len)
{
	struct vring_desc *desc = (struct vring_desc *)(ram + RING);
	struct vring_avail *avail = (struct vring_avail *)(ram + AVAIL);
	uint16_t slot = offered, first = (uint16_t)(3 * slot);
	const struct virtio_blk_outhdr header = { .type = type };

	CHECK(first + 3u <= ENTRIES);
	memcpy(ram + HEADERS + 16u * slot, &header, sizeof(header));
	desc[first] = (struct vring_desc){ HEADERS + 16u * slot, 16, VRING_DESC_F_NEXT, first + 1 };
	desc[first + 1] = (struct vring_desc){ DATA, len, VRING_DESC_F_NEXT, first + 2 };
	desc[first + 2] = (struct vring_desc){ STATUSES + slot, 1, VRING_DESC_F_WRITE, 0 };
	avail->ring[slot] = first;
	ram[STATUSES + slot] = 0xff;
	avail->idx = ++offered;
}

static void ask_write(void)
{
	ask(VIRTIO_BLK_T_OUT, BLK_SECTOR);
}

static uint16_t used(void)
{
	return ((struct vring_used *)(ram + USED))->idx;
}

// --- What is tested

static void cache_is_written_when_the_last_write_into_it_ended(void)
{
	start();
	ask_write();
	ask_write();
	turn();
	CHECK(held_count == 2 && is_held(0, BLK_WRITE, 0) && is_held(1, BLK_WRITE, 0));
	set_cache(0);
	turn();
	CHECK(held_count == 2); // a flush now would miss them
	ask_write();
	turn();
	CHECK(held_count == 3 && is_held(2, BLK_WRITE, BLK_STABLE));
	end(1, 0);
	CHECK(held_count == 2 && used() == 1);
	end(0, -EIO);
	CHECK(held_count == 2 && used() == 2 && is_held(1, BLK_FLUSH, 0));
	end(1, 0);
	end(0, 0);
	CHECK(!held_count && used() == 3);
}

static void failures_leave_room_for_other_events(void)
{
	struct loop_counters before, after;

	start();
	loop_forget(loop, d);
	loop_counters(loop, &before);
	for (int i = 0; i < 80; i++)
		ask_write();
	turn();
	CHECK(held_count == 80);
	while (held_count)
		end(0, -ENOSPC);
	loop_counters(loop, &after);
	CHECK(after.posted == before.posted + 1 && after.refused == before.refused);
	CHECK(used() == 80 && ram[STATUSES + 79] == VIRTIO_BLK_S_IOERR);
}

static void segments_follow_each_other_until_one_fails(void)
{
	static const struct virtio_blk_discard_write_zeroes segment[] = {
		{ 1, 1, 0 }, { 9, 0, 0 }, { 2, 3, 1 }, { 7, 1, 0 }
	};

	start();
	memcpy(ram + DATA, segment, sizeof(segment));
	ask(VIRTIO_BLK_T_WRITE_ZEROES, sizeof(segment));
	turn();
	memset(ram + DATA, 0xff, sizeof(segment));
	CHECK(held_count == 1 && is_held(0, BLK_ZERO, 0) && held[0]->offset == 1 * BLK_SECTOR);
	end(0, 0);
	CHECK(held_count == 1 && is_held(0, BLK_ZERO, BLK_UNMAP));
	CHECK(held[0]->offset == 2 * BLK_SECTOR && held[0]->len == 3 * BLK_SECTOR && !used());
	end(0, -EIO);
	CHECK(!held_count && used() == 1 && ram[STATUSES] == VIRTIO_BLK_S_IOERR);
}

static void rest(bool pause)
{
	if (pause)
		virtio_ask_pause(d);
	else
		virtio_ask_reset(d);
	virtio_service(d);
}

static bool rests(bool pause)
{
	return !(pause ? virtio_wait_quiet(d, 0) : virtio_wait_idle(d, 0));
}

static void device_rests_when_its_cache_is_written(bool pause)
{
	start();
	ask_write();
	turn();
	set_cache(0);
	rest(pause);
	CHECK(!rests(pause) && held_count == 1);
	end(0, 0);
	CHECK(!rests(pause) && held_count == 1 && is_held(0, BLK_FLUSH, 0));
	end(0, 0);
	CHECK(rests(pause) && !held_count);
	if (pause) {
		virtio_ask_resume(d);
		turn();
	}
}

static void reset(void)
{
	virtio_ask_reset(d);
	virtio_service(d);
	CHECK(!virtio_wait_idle(d, 0) && !held_count);
}

int main(void)
{
	struct gmem *mem = gmem_create();

	loop = loop_create();
	ram = aligned_alloc(4096, RAM);
	CHECK(mem && loop && ram && !gmem_add(mem, 0, RAM, ram, 0));
	disk = vblk_create(&(struct vblk_setup){ .mem = mem,
						 .loop = loop,
						 .sectors = 64,
						 .queues = 1,
						 .block_size = BLK_SECTOR,
						 .physical_size = BLK_SECTOR });
	CHECK(disk);
	d = &disk->vdev;
	virtio_connect(d, &transport, NULL, false);
	cache_is_written_when_the_last_write_into_it_ended();
	reset();
	device_rests_when_its_cache_is_written(true);
	reset();
	device_rests_when_its_cache_is_written(false);
	failures_leave_room_for_other_events();
	reset();
	segments_follow_each_other_until_one_fails();
	reset();
	vblk_destroy(disk);
	loop_destroy(loop);
	gmem_destroy(mem);
	free(ram);
	printf("all held\n");
	return 0;
}
