// SPDX-License-Identifier: Apache-2.0
// The io_uring engine: one ring, one system call for all requests of a kick. What the page cache
// has is done when that call returns; the rest is told by an eventfd.
#include "blk_impl.h"

#ifdef VMM_LIBURING

#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
	SUBMISSIONS = 128, // entries; more requests are handed over in parts
	CACHED_FILE = 0, // registered files
	DIRECT_FILE = 1,
};

struct uring {
	struct io_uring ring;
	int done_fd, handle;
	struct blk_request *head, **tail; // no entry was free for them
};

static bool reap(struct blk *b)
{
	struct uring *u = b->engine_data;
	struct io_uring_cqe *cqe;
	bool any = false;

	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		struct blk_request *r = io_uring_cqe_get_data(cqe);
		int result = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		blk_step_done(b, r, result);
		any = true;
	}
	return any;
}

// Whether there is something to hand over.
static bool is_waiting(struct uring *u)
{
	return u->head || io_uring_sq_ready(&u->ring);
}

static void on_done(void *opaque, uint32_t events)
{
	struct blk *b = opaque;

	(void)events;
	if (!reap(b) && !is_waiting(b->engine_data))
		return;
	blk_kick(b); // steps that followed, and requests that done() submitted
	b->setup.batch(b->setup.opaque);
}

static int register_files(struct blk *b, struct uring *u)
{
	int files[] = { b->setup.fd, b->setup.direct_fd };
	int err = io_uring_register_files(&u->ring, files, files[1] < 0 ? 1 : 2);

	return err ? err : io_uring_register_eventfd(&u->ring, u->done_fd);
}

// Flags that spare this thread interrupts by its own completions, where the kernel has them.
static int make_ring(struct blk *b, struct io_uring *ret)
{
	uint32_t depth = b->setup.depth < SUBMISSIONS ? SUBMISSIONS : b->setup.depth;
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN,
		.cq_entries = depth,
	};
	int err = io_uring_queue_init_params(SUBMISSIONS, ret, &params);

	if (err != -EINVAL)
		return err;
	params = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE, .cq_entries = depth };
	return io_uring_queue_init_params(SUBMISSIONS, ret, &params);
}

#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0) // Linux 6.12
#endif

static void prepare_discard(struct io_uring_sqe *sqe, int file, uint64_t offset, uint64_t len)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file, (void *)(uintptr_t)offset, 0, 0);
	sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
	sqe->addr3 = len;
}

// Asks for no bytes: where that is an error, or the file is not open for writing, the ring
// discards.
static bool discards(struct blk *b, struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	struct io_uring_cqe *cqe;

	if (!sqe)
		return false;
	prepare_discard(sqe, b->setup.fd, 0, 0);
	if (io_uring_submit_and_wait(&u->ring, 1) < 0 || io_uring_peek_cqe(&u->ring, &cqe))
		return false;
	int result = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return result == -EINVAL || result == -EBADF;
}

static int uring_create(struct blk *b)
{
	struct uring *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	int err = make_ring(b, &u->ring);
	if (err) {
		free(u);
		return err;
	}
	b->engine_data = u;
	u->tail = &u->head;
	u->handle = -1;
	u->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->setup.device && !discards(b, u))
		err = blk_threads_ops.create(b);
	if (!err)
		err = u->done_fd < 0 ? -errno : register_files(b, u);
	if (!err) {
		u->handle = loop_add(b->setup.loop, u->done_fd, EPOLLIN | EPOLLET, on_done, b);
		err = u->handle < 0 ? u->handle : 0;
	}
	if (err)
		b->engine->destroy(b);
	return err;
}

static void uring_destroy(struct blk *b)
{
	struct uring *u = b->engine_data;

	loop_remove(b->setup.loop, u->handle);
	io_uring_queue_exit(&u->ring);
	if (u->done_fd >= 0)
		close(u->done_fd);
	if (b->pool)
		blk_threads_ops.destroy(b);
	free(u);
}

static void prepare(struct io_uring_sqe *sqe, struct blk_request *r)
{
	int file = r->cached ? CACHED_FILE : DIRECT_FILE;

	switch (r->step) {
	case BLK_STEP_READ:
		io_uring_prep_readv2(sqe, file, r->step_iov, r->step_count, blk_at(r),
				     r->step_flags);
		break;
	case BLK_STEP_WRITE:
		io_uring_prep_writev2(sqe, file, r->step_iov, r->step_count, blk_at(r),
				      r->step_flags);
		break;
	case BLK_STEP_SYNC:
		io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
		break;
	case BLK_STEP_DISCARD:
		prepare_discard(sqe, file, r->offset, r->len);
		break;
	default:
		io_uring_prep_fallocate(sqe, file, r->step_flags, (off_t)r->offset, (off_t)r->len);
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, r);
}

static void uring_push(struct blk *b, struct blk_request *r)
{
	if (r->step == BLK_STEP_DISCARD && b->pool) {
		blk_threads_ops.push(b, r);
		return;
	}
	struct uring *u = b->engine_data;
	struct io_uring_sqe *sqe = u->head ? NULL : io_uring_get_sqe(&u->ring);

	if (sqe) {
		prepare(sqe, r);
		return;
	}
	r->next = NULL;
	*u->tail = r;
	u->tail = &r->next;
}

static void refill(struct uring *u)
{
	struct io_uring_sqe *sqe;

	while (u->head && (sqe = io_uring_get_sqe(&u->ring))) {
		struct blk_request *r = u->head;
		u->head = r->next;
		if (!u->head)
			u->tail = &u->head;
		prepare(sqe, r);
	}
}

// False: the kernel takes nothing now. The loop tries again after whatever else it has to do.
static bool enter(struct uring *u)
{
	int n = io_uring_submit(&u->ring);

	if (n > 0 || n == -EINTR)
		return true;
	uint64_t one = 1;
	ssize_t written = write(u->done_fd, &one, sizeof(one));
	(void)written;
	return false;
}

static void uring_submit(struct blk *b)
{
	struct uring *u = b->engine_data;
	bool taken = true;

	if (b->pool)
		blk_threads_ops.submit(b);
	while (taken && is_waiting(u)) {
		refill(u);
		taken = enter(u);
		reap(b);
	}
}

const struct blk_engine_ops blk_uring_ops = {
	.create = uring_create,
	.destroy = uring_destroy,
	.push = uring_push,
	.submit = uring_submit,
};

#else

static int uring_create(struct blk *b)
{
	(void)b;
	return -ENOSYS; // built without liburing
}

const struct blk_engine_ops blk_uring_ops = { .create = uring_create };

#endif
