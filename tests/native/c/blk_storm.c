// SPDX-License-Identifier: Apache-2.0
// A loop that keeps many requests of all kinds under way, and workers that do them: each slot owns
// a part of the file and knows what it wrote there last.
#define _GNU_SOURCE // memfd_create(2)
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blk.h"
#include "check.h"
#include "loop.h"

#define SLOTS 48
#define WORKERS 3
#define REQUESTS 30000
#define PART 4096

struct slot {
	struct blk_request r;
	struct iovec piece[3];
	uint8_t buffer[PART], fill;
	uint32_t number, turns;
};

static struct slot slot[SLOTS];
static struct blk *blk;
static struct loop *loop;
static uint32_t begun, ended, batches;
static uint64_t moved;

static void next(struct slot *s);

// Three pieces of odd lengths.
static void cut(struct slot *s)
{
	size_t first = 1 + s->turns % 1000, second = 1 + s->turns % 999;

	s->piece[0] = (struct iovec){ s->buffer, first };
	s->piece[1] = (struct iovec){ s->buffer + first, second };
	s->piece[2] = (struct iovec){ s->buffer + first + second, PART - first - second };
	s->r.iov = s->piece;
	s->r.iov_count = 3;
}

static void on_done(struct blk_request *r, int err)
{
	struct slot *s = container_of(r, struct slot, r);

	CHECK(!err);
	if (r->op == BLK_READ) {
		for (uint32_t i = 0; i < PART; i++)
			CHECK(s->buffer[i] == s->fill);
		moved += PART;
	} else if (r->op == BLK_ZERO || r->op == BLK_DISCARD) {
		s->fill = 0;
	}
	ended++;
	if (begun < REQUESTS)
		next(s);
	else if (ended == REQUESTS)
		loop_stop(loop);
}

// Writes and reads in turn; now and then something rarer.
static void next(struct slot *s)
{
	static const uint8_t ops[] = { BLK_WRITE, BLK_READ,  BLK_FLUSH, BLK_READ,
				       BLK_ZERO,  BLK_READ,  BLK_WRITE, BLK_READ,
				       BLK_READ,  BLK_WRITE, BLK_READ,	BLK_DISCARD };

	s->r = (struct blk_request){
		.op = ops[s->turns++ % ARRAY_LEN(ops)],
		.flags = s->turns & 1 ? BLK_STABLE : 0,
		.offset = s->number * PART,
		.len = PART,
		.done = on_done,
	};
	if (s->r.op == BLK_WRITE) {
		s->fill = (uint8_t)(s->number + s->turns);
		memset(s->buffer, s->fill, PART);
	} else if (s->r.op == BLK_READ) {
		memset(s->buffer, ~s->fill, PART);
	}
	cut(s);
	begun++;
	blk_submit(blk, &s->r);
}

static void on_batch(void *opaque)
{
	(void)opaque;
	batches++;
}

static void on_start(void *opaque, uint32_t events)
{
	(void)events;
	loop_remove(loop, *(int *)opaque);
	for (uint32_t i = 0; i < SLOTS; i++) {
		slot[i].number = i;
		next(&slot[i]);
	}
	blk_kick(blk);
}

static void *work(void *opaque)
{
	blk_work(opaque);
	return NULL;
}

int main(void)
{
	int file = memfd_create("disk", MFD_CLOEXEC), start = eventfd(1, EFD_CLOEXEC), handle;
	struct loop_event event;
	pthread_t worker[WORKERS];

	CHECK(file >= 0 && start >= 0 && !ftruncate(file, SLOTS * PART));
	CHECK((loop = loop_create()));
	const struct blk_setup setup = { .loop = loop,
					 .fd = file,
					 .direct_fd = -1,
					 .engine = BLK_THREADS,
					 .depth = SLOTS,
					 .batch = on_batch };
	CHECK((blk = blk_create(&setup)));
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&worker[i], NULL, work, blk));
	CHECK((handle = loop_add(loop, start, EPOLLIN, on_start, &handle)) >= 0);
	CHECK(!loop_run(loop, &event) && event.kind == LOOP_STOPPED);
	CHECK(begun == REQUESTS && ended == REQUESTS && batches);
	struct blk_counters counters;
	blk_counters(blk, &counters);
	CHECK(counters.reads * PART == moved && !counters.errors);
	blk_stop(blk);
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_join(worker[i], NULL));
	blk_destroy(blk);
	loop_destroy(loop);
	close(file);
	close(start);
	printf("%u requests in %u batches\n", ended, batches);
	return 0;
}
