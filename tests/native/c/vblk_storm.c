// SPDX-License-Identifier: Apache-2.0
// The storm on a disk of two queues, whose workers write and read each entry's own sectors.
#define _GNU_SOURCE // memfd_create(2)
#include <sys/mman.h>

#include "vblk.h"
#include "virtiostorm.h"

#define QUEUES 2
#define WORKERS 2
#define REQUESTS 500
#define HEADER_AT 0x800u // in the buffer of an entry
#define STATUS_AT 0x900u
#define SECTORS (QUEUES * ENTRIES)

static const uint32_t kinds[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_FLUSH,
				  VIRTIO_BLK_T_WRITE_ZEROES };

static void lay_out(uint32_t queue, uint16_t entry)
{
	uint64_t at = buffer_at(queue, entry);
	uint32_t kind = kinds[entry % ARRAY_LEN(kinds)];
	const struct virtio_blk_outhdr header = { .type = kind, .sector = queue * ENTRIES + entry };
	const struct virtio_blk_discard_write_zeroes segment = { header.sector, 1, 0 };
	struct vring_desc piece[] = {
		{ at + HEADER_AT, sizeof(header), 0, 0 },
		{ at, BLK_SECTOR, 0, 0 },
		{ at + STATUS_AT, 1, VRING_DESC_F_WRITE, 0 },
	};

	memcpy(ram + at + HEADER_AT, &header, sizeof(header));
	if (kind == VIRTIO_BLK_T_IN)
		piece[1].flags = VRING_DESC_F_WRITE;
	if (kind == VIRTIO_BLK_T_WRITE_ZEROES) {
		memcpy(ram + at, &segment, sizeof(segment));
		piece[1].len = sizeof(segment);
	}
	storm_chain(queue, entry, piece, ARRAY_LEN(piece));
}

static void requests_are_answered(void)
{
	for (uint16_t i = 1; i <= REQUESTS; i++) {
		for (uint32_t queue = 0; queue < QUEUES; queue++)
			offer(queue);
		for (uint32_t queue = 0; queue < QUEUES; queue++) {
			await_used(queue, i);
			CHECK(ram[buffer_at(queue, (i - 1) % ENTRIES) + STATUS_AT] ==
			      VIRTIO_BLK_S_OK);
		}
	}
}

static void *work(void *opaque)
{
	blk_work(opaque);
	return NULL;
}

static void nobody(void *opaque)
{
}

int main(void)
{
	int file = memfd_create("disk", MFD_CLOEXEC);
	pthread_t worker[WORKERS];

	CHECK(file >= 0 && !ftruncate(file, SECTORS * BLK_SECTOR));
	storm_begin();
	for (uint32_t queue = 0; queue < QUEUES; queue++)
		for (uint16_t i = 0; i < ENTRIES; i++)
			lay_out(queue, i);
	struct blk *blk = blk_create(&(struct blk_setup){ .loop = loop,
							  .fd = file,
							  .direct_fd = -1,
							  .engine = BLK_THREADS,
							  .depth = 64,
							  .batch = nobody });
	CHECK(blk);
	struct vblk *disk = vblk_create(&(struct vblk_setup){ .mem = mem,
							      .loop = loop,
							      .blk = blk,
							      .sectors = SECTORS,
							      .queues = QUEUES,
							      .block_size = BLK_SECTOR,
							      .physical_size = BLK_SECTOR });
	CHECK(disk);
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&worker[i], NULL, work, blk));
	storm(&disk->vdev, 30000, requests_are_answered);
	storm_report();
	struct blk_counters counters;
	blk_counters(blk, &counters);
	printf("%llu reads, %llu writes, %llu flushes, %llu zeros\n",
	       (unsigned long long)counters.reads, (unsigned long long)counters.writes,
	       (unsigned long long)counters.flushes, (unsigned long long)counters.zeros);
	CHECK(counters.reads > 300 && counters.writes > 300 && counters.zeros && !counters.errors);
	blk_stop(blk);
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_join(worker[i], NULL));
	vblk_destroy(disk);
	blk_destroy(blk);
	storm_end();
	close(file);
	return 0;
}
