// SPDX-License-Identifier: Apache-2.0
#include "nullport.h"

#include <stdlib.h>

static int nullport_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size, (void)ret; // all-ones on entry
	return 0;
}

static int nullport_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			  uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size, (void)value;
	return 0;
}

static const struct dev_ops nullport_ops = { .read = nullport_read, .write = nullport_write };

struct nullport *nullport_create(void)
{
	struct nullport *n = calloc(1, sizeof(*n));

	if (n)
		dev_init(&n->dev, &nullport_ops, 0);
	return n;
}

void nullport_destroy(struct nullport *n)
{
	dev_deinit(&n->dev);
	free(n);
}

void nullport_reset(struct nullport *n)
{
	(void)n;
}

void nullport_save(struct nullport *n, struct nullport_state *ret)
{
	(void)n;
	*ret = (struct nullport_state){ .version = NULLPORT_STATE_VERSION };
}

int nullport_load(struct nullport *n, const struct nullport_state *state)
{
	(void)n;
	return state->version == NULLPORT_STATE_VERSION ? 0 : -EINVAL;
}
