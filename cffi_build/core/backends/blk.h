// SPDX-License-Identifier: Apache-2.0
// The back-end of a disk: a file or block device of the host, whatever presents it to a guest.
//
// Requests are the caller's structs, with pieces of memory that stay until done() was called; that
// happens on the thread of the loop that owns the back-end. Two engines do the work: io_uring, and
// workers (threads of the caller's, inside blk_work()). The back-end sees to requests that a file
// takes in part only, to those that O_DIRECT does not take, and to what a file system cannot do.
#ifndef VMM_BLK_H
#define VMM_BLK_H

#include <sys/uio.h>

#include "base.h"

struct loop;
struct blk;

#define BLK_SECTOR 512

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH, // what was written before is on stable storage
	BLK_DISCARD, // nobody needs the bytes any more
	BLK_ZERO,
};

enum blk_flag {
	BLK_STABLE = 1, // of writes: done() means that it is on stable storage
	BLK_UNMAP = 2, // of BLK_ZERO: the file may become smaller on its disk
};

enum blk_engine {
	BLK_URING = 1,
	BLK_THREADS,
};

struct blk_request {
	uint8_t op; // enum blk_op
	uint8_t flags; // enum blk_flag
	uint64_t offset, len; // bytes
	struct iovec *iov; // of BLK_READ and BLK_WRITE: `len` bytes; changed on the way
	uint32_t iov_count;
	// 0, or -errno: -EIO also for what ends before `len`, -EOPNOTSUPP for what the file cannot
	// do. The request may be used again or freed, and others submitted.
	void (*done)(struct blk_request *r, int err);

	// The back-end's.
	uint8_t step, tries;
	bool cached; // not through O_DIRECT
	uint64_t left;
	struct iovec zeros;
	const struct iovec *step_iov;
	uint32_t step_count;
	int32_t step_flags;
	int result;
	struct blk_request *next;
};

struct blk_setup {
	struct loop *loop;
	int fd; // the caller's, open as long as the back-end lives
	int direct_fd; // the same file with O_DIRECT, or -1
	uint32_t memory_align, block_align; // bytes that O_DIRECT wants, powers of two
	bool device; // a block device: it may discard what it cannot make zeros of
	uint32_t engine; // enum blk_engine
	uint32_t depth; // requests under way at the same time, at most
	// After a batch of done() that did not come from inside blk_kick(). On the loop's thread.
	void (*batch)(void *opaque);
	void *opaque;
};

struct blk_counters {
	uint64_t reads, writes, flushes, discards, zeros; // done, with success or without
	uint64_t read_bytes, written_bytes;
	uint64_t errors; // done() with -errno, without -EOPNOTSUPP
	uint64_t again; // more than one system call for a request
	uint64_t cached; // that O_DIRECT could not take
};

// NULL with errno: ENOSYS, EPERM and others of io_uring_setup(2): take the other engine.
struct blk *blk_create(const struct blk_setup *setup);
// No request is under way, no thread is inside blk_work().
void blk_destroy(struct blk *b);
// Whom batch() is called for, once it exists.
void blk_connect(struct blk *b, void (*batch)(void *opaque), void *opaque);
// Queues a request. On the loop's thread, as blk_kick().
void blk_submit(struct blk *b, struct blk_request *r);
// Begins what is queued. done() is called before this returns for what does not have to wait.
void blk_kick(struct blk *b);
// Whether threads are needed inside blk_work(): BLK_THREADS, or an io_uring that cannot discard.
bool blk_wants_workers(struct blk *b);
// Does what is theirs until blk_stop(); any number of threads.
void blk_work(struct blk *b);
void blk_stop(struct blk *b);
// Any thread.
void blk_counters(struct blk *b, struct blk_counters *ret);
// What O_DIRECT wants of addresses and of offsets and lengths, in bytes. False: the file does not
// say.
bool blk_direct_align(int fd, uint32_t *memory, uint32_t *block);

#endif
