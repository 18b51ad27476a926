// SPDX-License-Identifier: Apache-2.0
#include "pydev.h"

#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// Counts an upcall that began at `start`, and keeps the longest.
static void account(struct pydev *p, uint64_t start)
{
	uint64_t took = now_ns() - start;
	uint64_t worst = count_get(&p->worst_ns);

	count_add(&p->upcalls, 1);
	while (took > worst && !atomic_compare_exchange_weak(&p->worst_ns, &worst, took))
		;
}

static int pydev_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct pydev *p = container_of(d, struct pydev, dev);
	uint64_t start = now_ns();
	int err = p->up.read(p->handle, region, offset, size, ret);

	account(p, start);
	return err;
}

static int pydev_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	struct pydev *p = container_of(d, struct pydev, dev);
	uint64_t start = now_ns();
	int err = p->up.write(p->handle, region, offset, size, value);

	account(p, start);
	return err;
}

static const struct dev_ops ops = { .read = pydev_read, .write = pydev_write };

struct pydev *pydev_create(struct pydev_upcalls up, void *handle)
{
	struct pydev *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	dev_init(&p->dev, &ops, DEV_UPCALL);
	p->up = up;
	p->handle = handle;
	return p;
}

void pydev_destroy(struct pydev *p)
{
	dev_deinit(&p->dev);
	free(p);
}

void pydev_counts(struct pydev *p, struct pydev_counts *ret)
{
	*ret = (struct pydev_counts){ count_get(&p->upcalls), count_get(&p->worst_ns) };
}
