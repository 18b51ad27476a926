// SPDX-License-Identifier: Apache-2.0
// From requests to steps, each one system call, and back.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // fallocate(2)
#endif
#include "blk.h"

#include <fcntl.h>
#include <stdlib.h>

#include "blk_impl.h"

enum {
	TRIES_MAX = 100, // of a call that is interrupted or told to try again
};

static const uint8_t zeros[BLK_ZEROS] __attribute__((aligned(4096)));

struct blk *blk_create(const struct blk_setup *setup)
{
	struct blk *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->setup = *setup;
	b->tail = &b->head;
	for (uint32_t i = 0; i < BLK_ZERO_PIECES; i++)
		b->zeros[i] = (struct iovec){ (void *)zeros, sizeof(zeros) };
	b->engine = setup->engine == BLK_URING ? &blk_uring_ops : &blk_threads_ops;
	int err = b->engine->create(b);
	if (!err)
		return b;
	free(b);
	errno = -err;
	return NULL;
}

void blk_destroy(struct blk *b)
{
	if (!b)
		return;
	b->engine->destroy(b);
	free(b);
}

void blk_connect(struct blk *b, void (*batch)(void *opaque), void *opaque)
{
	b->setup.batch = batch;
	b->setup.opaque = opaque;
}

// Whether O_DIRECT takes these pieces here.
static bool is_aligned(const struct blk *b, const struct blk_request *r)
{
	uint64_t block = b->setup.block_align - 1, memory = b->setup.memory_align - 1;
	uint64_t bits = blk_at(r) & block;

	for (uint32_t i = 0; i < r->step_count; i++)
		bits |= ((uintptr_t)r->step_iov[i].iov_base & memory) |
			(r->step_iov[i].iov_len & block);
	return !bits;
}

static void set_data_step(struct blk *b, struct blk_request *r, const struct iovec *iov,
			  uint32_t count)
{
	r->step = r->op == BLK_READ ? BLK_STEP_READ : BLK_STEP_WRITE;
	r->step_iov = iov;
	r->step_count = count;
	r->step_flags = r->op != BLK_READ && r->flags & BLK_STABLE ? RWF_DSYNC : 0;
	if (!r->cached && !is_aligned(b, r)) {
		r->cached = true;
		count_own(&b->cached, 1);
	}
}

// Zeros are written where the file system has no better way.
static void set_zeros_step(struct blk *b, struct blk_request *r)
{
	if (r->left < BLK_ZEROS) {
		r->zeros = (struct iovec){ (void *)zeros, r->left };
		set_data_step(b, r, &r->zeros, 1);
		return;
	}
	uint64_t pieces = r->left / BLK_ZEROS;
	set_data_step(b, r, b->zeros,
		      (uint32_t)(pieces < BLK_ZERO_PIECES ? pieces : BLK_ZERO_PIECES));
}

static void set_fallocate_step(struct blk_request *r, int mode)
{
	r->step = BLK_STEP_FALLOCATE;
	r->step_flags = mode | FALLOC_FL_KEEP_SIZE;
}

static void set_first_step(struct blk *b, struct blk_request *r)
{
	r->tries = 0;
	r->left = r->len;
	r->cached = b->setup.direct_fd < 0;
	switch (r->op) {
	case BLK_FLUSH:
		r->step = BLK_STEP_SYNC;
		break;
	case BLK_DISCARD:
		if (b->setup.device && !b->no_discard)
			r->step = BLK_STEP_DISCARD;
		else
			set_fallocate_step(r, FALLOC_FL_PUNCH_HOLE);
		break;
	case BLK_ZERO:
		if (r->flags & BLK_UNMAP)
			set_fallocate_step(r, FALLOC_FL_PUNCH_HOLE);
		else if (!b->no_zero_range)
			set_fallocate_step(r, FALLOC_FL_ZERO_RANGE);
		else
			set_zeros_step(b, r);
		break;
	default:
		set_data_step(b, r, r->iov, r->iov_count);
	}
}

void blk_submit(struct blk *b, struct blk_request *r)
{
	r->next = NULL;
	*b->tail = r;
	b->tail = &r->next;
}

void blk_kick(struct blk *b)
{
	do {
		struct blk_request *r = b->head;
		b->head = NULL;
		b->tail = &b->head;
		while (r) {
			struct blk_request *next = r->next;
			set_first_step(b, r);
			b->engine->push(b, r);
			r = next;
		}
		b->engine->submit(b);
	} while (b->head);
}

static void finish(struct blk *b, struct blk_request *r, int err)
{
	count_own(&b->ops[r->op], 1);
	if (err && err != -EOPNOTSUPP)
		count_own(&b->errors, 1);
	else if (r->op == BLK_READ)
		count_own(&b->read_bytes, r->len);
	else if (r->op == BLK_WRITE)
		count_own(&b->written_bytes, r->len);
	r->done(r, err);
}

static void push_again(struct blk *b, struct blk_request *r)
{
	count_own(&b->again, 1);
	b->engine->push(b, r);
}

// Takes `bytes` off the front of the caller's pieces.
static void advance(struct blk_request *r, size_t bytes)
{
	while (bytes && bytes >= r->iov->iov_len) {
		bytes -= r->iov->iov_len;
		r->iov++;
		r->iov_count--;
	}
	if (bytes) {
		r->iov->iov_base = (uint8_t *)r->iov->iov_base + bytes;
		r->iov->iov_len -= bytes;
	}
}

// Some bytes were moved.
static void go_on(struct blk *b, struct blk_request *r, size_t bytes)
{
	r->left -= bytes;
	r->tries = 0;
	if (!r->left) {
		finish(b, r, 0);
		return;
	}
	if (r->op == BLK_ZERO) {
		set_zeros_step(b, r);
	} else {
		advance(r, bytes);
		set_data_step(b, r, r->iov, r->iov_count);
	}
	push_again(b, r);
}

static bool is_unsupported(int err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS || err == -ENODEV || err == -ENOTTY;
}

// The file system has no such fallocate(): zeros come about in another way.
static void zero_otherwise(struct blk *b, struct blk_request *r)
{
	if (r->step_flags & FALLOC_FL_ZERO_RANGE)
		b->no_zero_range = true;
	if (!b->no_zero_range)
		set_fallocate_step(r, FALLOC_FL_ZERO_RANGE);
	else
		set_zeros_step(b, r);
	push_again(b, r);
}

// Zeros that the device makes without storing them are as good. GUEST: -EINVAL may be its doing.
static void discard_otherwise(struct blk *b, struct blk_request *r, int err)
{
	b->no_discard |= err != -EINVAL;
	set_fallocate_step(r, FALLOC_FL_PUNCH_HOLE);
	push_again(b, r);
}

static void step_failed(struct blk *b, struct blk_request *r, int err)
{
	bool data = r->step == BLK_STEP_READ || r->step == BLK_STEP_WRITE;

	if ((err == -EINTR || err == -EAGAIN) && r->tries++ < TRIES_MAX) {
		push_again(b, r);
	} else if (data && err == -EINVAL && !r->cached) {
		r->cached = true; // stricter than it said
		count_own(&b->cached, 1);
		push_again(b, r);
	} else if (r->step == BLK_STEP_DISCARD && (is_unsupported(err) || err == -EINVAL)) {
		discard_otherwise(b, r, err);
	} else if (r->step == BLK_STEP_FALLOCATE && is_unsupported(err)) {
		if (r->op == BLK_ZERO)
			zero_otherwise(b, r);
		else
			finish(b, r, -EOPNOTSUPP);
	} else {
		finish(b, r, err);
	}
}

void blk_step_done(struct blk *b, struct blk_request *r, int result)
{
	if (unlikely(result < 0)) {
		step_failed(b, r, result);
	} else if (r->step == BLK_STEP_READ || r->step == BLK_STEP_WRITE) {
		if (likely((uint64_t)result <= r->left && result))
			go_on(b, r, (size_t)result);
		else
			finish(b, r, -EIO); // the file has become shorter
	} else if (r->step != BLK_STEP_SYNC && r->flags & BLK_STABLE) {
		r->step = BLK_STEP_SYNC;
		push_again(b, r);
	} else {
		finish(b, r, 0);
	}
}

void blk_work(struct blk *b)
{
	blk_threads_ops.work(b);
}

void blk_stop(struct blk *b)
{
	if (b->pool)
		blk_threads_ops.stop(b);
}

bool blk_wants_workers(struct blk *b)
{
	return b->pool;
}

void blk_counters(struct blk *b, struct blk_counters *ret)
{
	*ret = (struct blk_counters){
		.reads = count_get(&b->ops[BLK_READ]),
		.writes = count_get(&b->ops[BLK_WRITE]),
		.flushes = count_get(&b->ops[BLK_FLUSH]),
		.discards = count_get(&b->ops[BLK_DISCARD]),
		.zeros = count_get(&b->ops[BLK_ZERO]),
		.read_bytes = count_get(&b->read_bytes),
		.written_bytes = count_get(&b->written_bytes),
		.errors = count_get(&b->errors),
		.again = count_get(&b->again),
		.cached = count_get(&b->cached),
	};
}
