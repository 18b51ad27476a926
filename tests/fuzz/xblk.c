// SPDX-License-Identifier: Apache-2.0
// Xen's block device with a guest that writes what it likes into its ring, its grants and the pages
// that name further ones. The disk is a file in memory of 64 sectors, served by a thread of its
// own.
#define _GNU_SOURCE // memfd_create(2)
#include <sys/mman.h>

#include "fuzz_loop.h"
#include "xblk.h"

#define PAGES 64u
#define MEMORY (PAGES * 4096u)
#define TABLE 0u // page 0: references are page numbers
#define RING 4u
#define SECTORS 64u

struct rig {
	uint8_t *ram;
	struct ticker ticker;
	struct gnttab *grants;
	struct blk *blk;
	struct xblk *x;
	int kick, call, file;
	pthread_t worker;
};

static void settle(struct rig *r)
{
	while (xblk_in_flight(r->x))
		ticker_run(&r->ticker);
}

static void grant_all(struct rig *r)
{
	uint32_t *entry = (uint32_t *)r->ram;

	for (uint32_t i = 0; i < PAGES; i++) {
		entry[2 * i] = 1; // GTF_permit_access
		entry[2 * i + 1] = i;
	}
}

static void reconnect(struct rig *r, uint32_t pages, bool narrow)
{
	const uint32_t refs[4] = { RING, RING + 1, RING + 2, RING + 3 };
	const struct xblk_link link = { refs, pages, r->kick, r->call, narrow };

	xblk_disconnect(r->x);
	settle(r);
	grant_all(r);
	memset(r->ram + RING * 4096, 0, 4 * 4096);
	MUST(!xblk_connect(r->x, 0, &link));
}

static void *work(void *opaque)
{
	blk_work(opaque);
	return NULL;
}

static void one_step(struct rig *r, struct input *in)
{
	const uint64_t one = 1;
	uint8_t what = (uint8_t)take(in, 1);
	uint32_t at;

	switch (what % 8) {
	case 0: // an index
		*(uint32_t *)(r->ram + RING * 4096 + 4 * (what >> 6)) = (uint32_t)take(in, 4);
		break;
	case 1:
	case 2: // requests more
		*(uint32_t *)(r->ram + RING * 4096) += what >> 3;
		break;
	case 3:
	case 4: // an entry
		at = RING * 4096 + 64 + 112 * (uint32_t)(take(in, 1) % 128);
		take_into(in, r->ram + at, 112);
		break;
	case 5: // a grant, or the page of an indirect request
		at = (what >> 3) % 2 ? TABLE : 20 * 4096;
		take_into(in, r->ram + at + 8 * (take(in, 1) % PAGES), 8);
		break;
	case 6:
		xblk_pause(r->x, what & 0x10);
		break;
	default:
		reconnect(r, 1u << (what >> 3) % 3, what & 0x80);
		break;
	}
	MUST(write(r->kick, &one, sizeof(one)) == sizeof(one));
	ticker_run(&r->ticker);
}

static void make(struct rig *r, struct gmem *m)
{
	MUST((r->kick = eventfd(0, EFD_NONBLOCK)) >= 0);
	MUST((r->call = eventfd(0, EFD_NONBLOCK)) >= 0);
	ticker_init(&r->ticker);
	MUST((r->file = memfd_create("disk", 0)) >= 0);
	MUST(!ftruncate(r->file, SECTORS * BLK_SECTOR));
	MUST((r->grants = gnttab_create(m)));
	MUST(!gnttab_place(r->grants, 0, TABLE * 4096));
	const struct blk_setup disk = { .loop = r->ticker.loop,
					.fd = r->file,
					.direct_fd = -1,
					.memory_align = 1,
					.block_align = 1,
					.engine = BLK_THREADS,
					.depth = XBLK_REQUESTS };
	MUST((r->blk = blk_create(&disk)));
	MUST(!pthread_create(&r->worker, NULL, work, r->blk));
	const struct xblk_setup setup = { r->grants, r->ticker.loop, r->blk, SECTORS, false, 1 };
	MUST((r->x = xblk_create(&setup)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig, *r = &rig;
	struct gmem *m = gmem_create();
	struct gnttab_counters counters;

	MUST(m && (r->ram = calloc(1, MEMORY)));
	MUST(!gmem_add(m, 0, MEMORY, r->ram, 0));
	make(r, m);
	reconnect(r, 1, false);
	while (in.left)
		one_step(r, &in);
	xblk_disconnect(r->x);
	settle(r);
	gnttab_counters(r->grants, &counters);
	MUST(!counters.mapped);
	blk_stop(r->blk);
	pthread_join(r->worker, NULL);
	xblk_destroy(r->x);
	blk_destroy(r->blk);
	gnttab_destroy(r->grants);
	ticker_deinit(&r->ticker);
	gmem_destroy(m);
	close(r->kick);
	close(r->call);
	close(r->file);
	free(r->ram);
	return 0;
}
