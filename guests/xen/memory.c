// SPDX-License-Identifier: Apache-2.0
// Memory: given back and taken again, and what the guest is told of it.
#include "xen.h"

#define XEN_PAGES 0xfeff8000ul /* where rings of the domain's own are */

struct reservation {
	u64 *list;
	u64 count;
	u32 order, flags;
	u16 domid, pad[3];
};

static u64 frames[200];
static u8 pool[8][4096] __attribute__((aligned(4096)));

static u64 reservation(void)
{
	u16 self = DOMID_SELF;

	return (u64)hypercall(MEMORY_OP, 3, (u64)&self, 0);
}

static u16 type_of(u64 frame)
{
	struct {
		u16 domid, type, pad[2];
		u64 frame;
	} what = { DOMID_SELF, 9, {}, frame };

	check_equal(hypercall(HVM_OP, 15, (u64)&what, 0), 0);
	return what.type;
}

/* A balloon's work: pages go and come back empty. */
void balloon(void)
{
	struct reservation r = { frames, 8, 0, 0, DOMID_SELF, {} };
	u64 before = reservation(), i;
	u16 self = DOMID_SELF;

	check(before > 1000);
	check_equal(hypercall(MEMORY_OP, 4, (u64)&self, 0), before);
	for (i = 0; i < 8; i++) {
		pool[i][5] = 0xaa;
		frames[i] = (u64)pool[i] / 4096;
	}
	check_equal(type_of(frames[0]), 0);
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 0); /* they are there */
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 8);
	check_equal(reservation(), before - 8);
	check_equal(type_of(frames[0]), 2);
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0); /* they are gone */
	frames[3] = 0xfee00;
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 3); /* as far as it goes */
	check_equal(reservation(), before - 5);
	r.list = frames + 4;
	r.count = 4;
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 4);
	frames[3] = (u64)pool[3] / 4096;
	r.list = frames + 3;
	r.count = 1;
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 1);
	check_equal(reservation(), before);
	for (i = 0; i < 8; i++)
		check_equal(READ_ONCE(pool[i][5]), 0);
	pool[2][5] = 1;
	check_equal(READ_ONCE(pool[2][5]), 1);
	r.order = 10;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
	r.order = 0;
	r.domid = 0;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
	r.domid = DOMID_SELF;
	r.count = ~0ull;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
	r.list = (u64 *)NOWHERE;
	r.count = 1;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 0);
	check_equal(hypercall(MEMORY_OP, 0, (u64)&r, 0), 0);
	check_equal(hypercall(MEMORY_OP, 1, NOWHERE, 0), 0);
}

/* More than is done at once: the call goes on where it was. */
void balloon_far(void)
{
	struct reservation r = { frames, 200, 0, 0, DOMID_SELF, {} };
	u64 before = reservation(), i, first = 48 << 8; /* 48 MiB: nobody is there */

	for (i = 0; i < 200; i++)
		frames[i] = first + i;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 200);
	check_equal(reservation(), before - 200);
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 200);
	frames[0] = first + 512;
	r.count = 1;
	r.order = 9;
	check_equal(hypercall(MEMORY_OP, 1, (u64)&r, 0), 1);
	check_equal(reservation(), before - 512);
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 1);
	check_equal(reservation(), before);
}

static void memory_maps(void)
{
	static struct {
		u64 base, length;
		u32 type;
	} __attribute__((packed)) areas[32];
	struct {
		u32 count;
		void *areas;
	} map = { 32, areas };
	bool ram = false, ours = false;

	check_equal(hypercall(MEMORY_OP, 9, (u64)&map, 0), 0);
	check(map.count > 2 && map.count < 32);
	for (u32 n = 0; n < map.count; n++) {
		u64 end = areas[n].base + areas[n].length;
		ram |= areas[n].type == 1 && areas[n].base <= (u64)pool && end > (u64)pool;
		ours |= areas[n].type == 2 && areas[n].base <= XEN_PAGES && end > XEN_PAGES;
	}
	check(ram && ours);
	map.count = 1;
	areas[1].type = 77;
	check_equal(hypercall(MEMORY_OP, 9, (u64)&map, 0), 0);
	check_equal(map.count, 1);
	check_equal(areas[1].type, 77);
	map.areas = (void *)NOWHERE;
	CHECK_ERROR(hypercall(MEMORY_OP, 9, (u64)&map, 0), EFAULT);
	CHECK_ERROR(hypercall(MEMORY_OP, 9, NOWHERE, 0), EFAULT);
	CHECK_ERROR(hypercall(MEMORY_OP, 10, (u64)&map, 0), EPERM);
}

void memory_misc(void)
{
	struct {
		u16 domid, space, size, extra;
		u64 *indices, *frames;
		int *errors;
	} batch;
	static u64 indices[2], places[2];
	static int errors[2] = { 9, 9 };
	struct {
		u16 domid, pad[3];
		u64 frame;
	} gone = { DOMID_SELF, {}, (u64)pool[0] / 4096 };
	struct reservation r = { &gone.frame, 1, 0, 0, DOMID_SELF, {} };
	u16 self = DOMID_SELF, nobody = 4711;

	check_equal(hypercall(MEMORY_OP, 15, (u64)&gone, 0), 0);
	CHECK_ERROR(hypercall(MEMORY_OP, 15, (u64)&gone, 0), ENOENT);
	check_equal(hypercall(MEMORY_OP, 6, (u64)&r, 0), 1);
	check(hypercall(MEMORY_OP, 14, (u64)&self, 0) >= 0x3fff);
	CHECK_ERROR(hypercall(MEMORY_OP, 14, (u64)&nobody, 0), ESRCH);
	CHECK_ERROR(hypercall(MEMORY_OP, 11, (u64)&r, 0), EOPNOTSUPP);
	CHECK_ERROR(hypercall(MEMORY_OP, 24, (u64)&r, 0), EPERM);
	memory_maps();
	CHECK_ERROR(hypercall(MEMORY_OP, 5, (u64)&r, 0), ENOSYS);
	batch.domid = DOMID_SELF;
	batch.space = 0;
	batch.size = 2;
	batch.extra = 0;
	batch.indices = indices;
	batch.frames = places;
	batch.errors = errors;
	places[0] = (u64)shared / 4096;
	places[1] = 0xfee00;
	check_equal(hypercall(MEMORY_OP, 23, (u64)&batch, 0), 0);
	check_equal(errors[0], 0);
	check_equal(errors[1], -EINVAL);
	batch.errors = (int *)NOWHERE;
	CHECK_ERROR(hypercall(MEMORY_OP, 23, (u64)&batch, 0), EFAULT);
}
