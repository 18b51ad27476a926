// SPDX-License-Identifier: Apache-2.0
// A PV disk under a driver that means harm. Sector n is filled with bytes n % 251 before, and
// sectors 64 to 71 have 0xc3 afterwards.
#include "disk.h"

#define SECTORS 2048

/* Reads as on the first day, by a ring of its own. */
static void well(void)
{
	struct request r = one_page(READ, 16);

	disk_connect();
	check(back_is(CONNECTED));
	memset(buffer[0], 0, 4096);
	check_equal(disk_do(&r), OKAY);
	for (u32 i = 0; i < 8; i++)
		check_equal(buffer[0][i * SECTOR], (16 + i) % 251);
}

static void connects(void)
{
	xen_begin();
	disk_begin();
	check(back_is(INIT_WAIT));
	well();
}

static void writes(void)
{
	struct request r = one_page(WRITE, 64), flush = { .op = FLUSH, .id = 5 };

	memset(buffer[0], 0xc3, 4096);
	check_equal(disk_do(&r), OKAY);
	check_equal(disk_do(&flush), OKAY);
	well();
}

/* References of nothing, of others, and for less than is wanted. */
static void grants_wild(void)
{
	static const u32 wild[] = { 2, 15, 100, 511, 512, 32767, 32768, 0x7fffffff, ~0u };
	struct request r = one_page(READ, 0);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		r.segment[0].gref = wild[i];
		check_equal(disk_do(&r), ERROR);
	}
	grants[40] = (struct grant){ PERMIT | READ_ONLY, 0, (u32)((u64)buffer[0] / 4096) };
	grants[41] = (struct grant){ PERMIT, 5, (u32)((u64)buffer[0] / 4096) };
	grants[42] = (struct grant){ PERMIT, 0, 0xfee00 };
	grants[43] = (struct grant){ PERMIT, 0, ~0u };
	grants[44] = (struct grant){ 2, 0, (u32)((u64)buffer[0] / 4096) };
	grants[45] = (struct grant){ 3, 0, (u32)((u64)buffer[0] / 4096) };
	for (i = 40; i <= 45; i++) {
		r.segment[0].gref = i;
		check_equal(disk_do(&r), ERROR);
	}
	r = one_page(READ, 0);
	r.count = 3; /* the last one of several */
	r.segment[1] = r.segment[0];
	r.segment[1].gref++;
	r.segment[2] = r.segment[0];
	r.segment[2].gref = 43;
	check_equal(disk_do(&r), ERROR);
	for (i = 0; i < 16; i++)
		check_equal(grants[GRANT_BUFFER + i].flags & 0x18, 0); /* all are let go */
	well();
}

static void shapes_bad(void)
{
	static const struct {
		u8 count, first, last;
		u64 sector;
		u8 op;
	} bad[] = {
		{ 12, 0, 7, 0, READ },		{ 255, 0, 7, 0, READ },
		{ 0, 0, 7, 0, WRITE },		{ 1, 4, 3, 0, READ },
		{ 1, 0, 8, 0, READ },		{ 1, 255, 255, 0, WRITE },
		{ 1, 0, 7, SECTORS - 7, READ }, { 1, 0, 7, SECTORS, WRITE },
		{ 1, 0, 7, 1ull << 55, READ },	{ 1, 0, 7, ~0ull, WRITE },
		{ 1, 0, 7, ~0ull - 7, READ },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct request r = one_page(bad[i].op, bad[i].sector);
		r.count = bad[i].count;
		r.segment[0].first = bad[i].first;
		r.segment[0].last = bad[i].last;
		int status = disk_do(&r);
		check(status == ERROR || (!bad[i].count && status == OKAY));
	}
	well();
}

static void operations_unknown(void)
{
	static const u8 unknown[] = { 2, 4, 7, 8, 100, 255 };
	struct request r;

	for (u32 i = 0; i < sizeof(unknown); i++) {
		r = one_page(unknown[i], 0);
		check_equal(disk_do(&r), EOPNOTSUPP_);
	}
	r = one_page(DISCARD, SECTORS - 1);
	r.count = 0; /* flags */
	r.sectors = 2;
	check_equal(disk_do(&r), ERROR);
	r.sectors = ~0ull;
	check_equal(disk_do(&r), ERROR);
	well();
}

static void indirect_wild(void)
{
	static const u16 counts[] = { 1, 257, 4097, 0xffff };
	struct segment *segments = (struct segment *)buffer[8];
	struct request r = { .op = INDIRECT, .count = READ, .indirect_count = 2, .id = 1 };

	segments[0] = (struct segment){ GRANT_BUFFER, 0, 7, 0 };
	segments[1] = (struct segment){ ~0u, 0, 7, 0 };
	r.indirect.gref[0] = GRANT_BUFFER + 8;
	check_equal(disk_do(&r), ERROR); /* a segment */
	r.indirect.gref[0] = ~0u;
	check_equal(disk_do(&r), ERROR); /* the list */
	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		r.indirect_count = counts[i];
		check_equal(disk_do(&r), ERROR);
	}
	r.indirect.gref[0] = GRANT_BUFFER + 8;
	r.indirect_count = 1;
	r.count = INDIRECT; /* in itself */
	check(disk_do(&r) < 0);
	r.count = READ;
	check_equal(disk_do(&r), OKAY);
	well();
}

/* More requests than the ring has room for: the device closes, and can be had again. */
static void index_jumps(void)
{
	static const u32 jumps[] = { RING + 1, 4096, 1u << 31, ~0u };

	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		ring.req_prod += jumps[i];
		disk_kick();
		check(back_is(CLOSING));
		well();
	}
	ring.rsp_prod += 77; /* not ours, and not read */
	ring.rsp_event = ring.req_event = ~0u;
	disk_kick();
	well();
}

/* Everything at once, the ring a heap of bytes, and its page given to somebody else meanwhile. */
static void ring_full_of_rubbish(void)
{
	u32 noise = 1;

	for (u32 round = 0; round < 4; round++) {
		u8 *at = (u8 *)ring.entry;
		for (u32 i = 0; i < sizeof(ring.entry); i++)
			at[i] = (u8)((noise = noise * 1103515245 + 12345) >> 16);
		for (u32 i = 0; i < RING; i++) /* reading only */
			ring.entry[i].request.op = i & 1 ? 2 : READ;
		ring.req_prod += RING;
		disk_kick();
		grants[GRANT_RING].flags = 0;
		delay_us(2000);
		well();
	}
}

/* What a driver writes into xenstore. */
static void nodes_wild(void)
{
	static const u32 refs[] = { 0, 7, 512, 32768, ~0u };
	static const char *const texts[] = { "", "-1", "1x", "99999999999", "0x8" };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(refs) + ARRAY_SIZE(texts) + 3; i++) {
		front_is(CLOSED);
		check(back_is(CLOSED));
		front_is(INITIALISING);
		check(back_is(INIT_WAIT));
		front_write("ring-ref", GRANT_RING);
		front_write("event-channel", disk_port);
		check(xs_write("device/vbd/51712/protocol", "x86_64-abi", "OK"));
		if (i < ARRAY_SIZE(refs)) {
			if (!refs[i])
				continue; /* the console's page is granted, and is one */
			front_write("ring-ref", refs[i]);
		} else if (i < ARRAY_SIZE(refs) + ARRAY_SIZE(texts)) {
			check(xs_write("device/vbd/51712/ring-ref", texts[i - ARRAY_SIZE(refs)],
				       "OK"));
		} else {
			u32 which = i - ARRAY_SIZE(refs) - ARRAY_SIZE(texts);
			if (which == 2)
				check(xs_write("device/vbd/51712/protocol", "arm-abi", "OK"));
			else
				front_write("event-channel", which ? xs_port : 4095);
		}
		front_is(INITIALISED);
		check(back_is(CLOSING));
	}
	well();
}

static void states_flip(void)
{
	static const u8 states[] = { CONNECTED, CLOSING, INITIALISING, CLOSED,	 INITIALISED,
				     0,		9,	 CLOSING,      CONNECTED };

	for (u32 i = 0; i < 40; i++)
		front_write("state", states[i % sizeof(states)]);
	front_is(CLOSED);
	check(back_is(CLOSED));
	well();
	check(xs_says(XS_RM, "device/vbd/51712/state", "OK"));
	check(back_is(CLOSED));
	well();
}

const struct test tests[] = {
	{ "connects", connects },
	{ "writes", writes },
	{ "grants-wild", grants_wild },
	{ "shapes-bad", shapes_bad },
	{ "operations-unknown", operations_unknown },
	{ "indirect-wild", indirect_wild },
	{ "index-jumps", index_jumps },
	{ "ring-full-of-rubbish", ring_full_of_rubbish },
	{ "nodes-wild", nodes_wild },
	{ "states-flip", states_flip },
	{},
};
