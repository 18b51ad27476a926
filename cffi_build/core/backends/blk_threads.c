// SPDX-License-Identifier: Apache-2.0
// The engine for hosts without io_uring, or for what an io_uring cannot do: workers that make the
// system calls, and wait in them.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // preadv2(2), fallocate(2)
#endif
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "blk_impl.h"

struct list {
	struct blk_request *head, **tail;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list asked, done; // under the lock
	bool stopping;
	struct list pushed; // the loop's
	uint32_t pushed_count;
	int done_fd, handle;
};

static void list_init(struct list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_add(struct list *l, struct blk_request *r)
{
	r->next = NULL;
	*l->tail = r;
	l->tail = &r->next;
}

static struct blk_request *list_take_all(struct list *l)
{
	struct blk_request *head = l->head;

	list_init(l);
	return head;
}

// Ends what the workers have done; whether there was anything.
static bool reap(struct blk *b)
{
	struct pool *p = b->pool;
	struct blk_request *r;

	{
		LOCKED(&p->lock);
		r = list_take_all(&p->done);
	}
	bool any = r;
	while (r) {
		struct blk_request *next = r->next;
		blk_step_done(b, r, r->result);
		r = next;
	}
	return any;
}

static void on_done(void *opaque, uint32_t events)
{
	struct blk *b = opaque;

	(void)events;
	if (!reap(b))
		return;
	blk_kick(b); // steps that followed, and requests that done() submitted
	b->setup.batch(b->setup.opaque);
}

static void pool_destroy(struct blk *b)
{
	struct pool *p = b->pool;

	loop_remove(b->setup.loop, p->handle);
	if (p->done_fd >= 0)
		close(p->done_fd);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
	b->pool = NULL;
}

static int pool_create(struct blk *b)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	list_init(&p->asked);
	list_init(&p->done);
	list_init(&p->pushed);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	b->pool = p;
	p->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->handle = p->done_fd < 0
			    ? -errno
			    : loop_add(b->setup.loop, p->done_fd, EPOLLIN | EPOLLET, on_done, b);
	int err = p->handle < 0 ? p->handle : 0;
	if (err)
		pool_destroy(b);
	return err;
}

static void pool_push(struct blk *b, struct blk_request *r)
{
	struct pool *p = b->pool;

	list_add(&p->pushed, r);
	p->pushed_count++;
}

static void pool_submit(struct blk *b)
{
	struct pool *p = b->pool;
	uint32_t count = p->pushed_count;

	if (!count)
		return;
	struct blk_request **tail = p->pushed.tail, *head = list_take_all(&p->pushed);
	p->pushed_count = 0;
	LOCKED(&p->lock);
	*p->asked.tail = head;
	p->asked.tail = tail;
	if (count == 1)
		pthread_cond_signal(&p->more);
	else
		pthread_cond_broadcast(&p->more);
}

static int call(struct blk *b, const struct blk_request *r)
{
	int fd = blk_fd(b, r), count = (int)r->step_count;
	off_t at = (off_t)blk_at(r);
	uint64_t range[] = { r->offset, r->len };
	ssize_t n;

	switch (r->step) {
	case BLK_STEP_READ:
		n = preadv2(fd, r->step_iov, count, at, r->step_flags);
		break;
	case BLK_STEP_WRITE:
		n = pwritev2(fd, r->step_iov, count, at, r->step_flags);
		break;
	case BLK_STEP_SYNC:
		n = fdatasync(fd);
		break;
	case BLK_STEP_DISCARD:
		n = ioctl(fd, BLKDISCARD, range);
		break;
	default:
		n = fallocate(fd, r->step_flags, (off_t)r->offset, (off_t)r->len);
	}
	return n < 0 ? -errno : (int)n;
}

// The next request to work on; NULL: no more. Waits for one.
static struct blk_request *next_request(struct pool *p)
{
	LOCKED(&p->lock);
	while (!p->asked.head && !p->stopping)
		pthread_cond_wait(&p->more, &p->lock);
	struct blk_request *r = p->asked.head;
	if (r && !(p->asked.head = r->next))
		p->asked.tail = &p->asked.head;
	return r;
}

static void pool_work(struct blk *b)
{
	struct pool *p = b->pool;
	struct blk_request *r;
	uint64_t one = 1;

	while ((r = next_request(p))) {
		r->result = call(b, r);
		bool first;
		{
			LOCKED(&p->lock);
			first = !p->done.head;
			list_add(&p->done, r);
		}
		// Not for each: the loop takes all that is there.
		ssize_t n = first ? write(p->done_fd, &one, sizeof(one)) : 0;
		(void)n;
	}
}

static void pool_stop(struct blk *b)
{
	struct pool *p = b->pool;

	LOCKED(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->more);
}

const struct blk_engine_ops blk_threads_ops = {
	.create = pool_create,
	.destroy = pool_destroy,
	.push = pool_push,
	.submit = pool_submit,
	.work = pool_work,
	.stop = pool_stop,
};
