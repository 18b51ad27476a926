// SPDX-License-Identifier: Apache-2.0
// Between the back-end (blk.c) and its engines (blk_uring.c, blk_threads.c).
#ifndef VMM_BLK_IMPL_H
#define VMM_BLK_IMPL_H

#include "blk.h"
#include "loop.h"

// One system call on behalf of a request.
enum blk_step {
	BLK_STEP_READ, // preadv2() of step_iov, with step_flags
	BLK_STEP_WRITE,
	BLK_STEP_SYNC, // fdatasync()
	BLK_STEP_FALLOCATE, // mode step_flags
	BLK_STEP_DISCARD, // BLKDISCARD
};

#define BLK_ZEROS (16 << 10) // bytes of one piece of zeros
#define BLK_ZERO_PIECES 64

struct blk_engine_ops {
	int (*create)(struct blk *b);
	void (*destroy)(struct blk *b);
	// Takes a step of a request; begins it at the latest with the next submit().
	void (*push)(struct blk *b, struct blk_request *r);
	// Begins what was pushed, and ends what is done: blk_step_done().
	void (*submit)(struct blk *b);
	void (*work)(struct blk *b);
	void (*stop)(struct blk *b);
};

struct blk {
	struct blk_setup setup;
	const struct blk_engine_ops *engine;
	void *engine_data; // of the io_uring
	void *pool; // of workers: the engine, or for what the io_uring cannot do; else NULL
	struct blk_request *head, **tail; // submitted, not begun
	bool no_zero_range; // the file system said so
	bool no_discard; // the device did, or there is no such call
	struct iovec zeros[BLK_ZERO_PIECES];
	_Atomic uint64_t ops[BLK_ZERO + 1];
	_Atomic uint64_t read_bytes, written_bytes, errors, again, cached;
};

extern const struct blk_engine_ops blk_uring_ops, blk_threads_ops;

// What a step's system call returned. On the loop's thread.
void blk_step_done(struct blk *b, struct blk_request *r, int result);

static inline int blk_fd(const struct blk *b, const struct blk_request *r)
{
	return r->cached ? b->setup.fd : b->setup.direct_fd;
}

// Where in the file the step begins.
static inline uint64_t blk_at(const struct blk_request *r)
{
	return r->offset + (r->len - r->left);
}

#endif
