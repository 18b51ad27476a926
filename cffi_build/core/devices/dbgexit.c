// SPDX-License-Identifier: Apache-2.0
#include "dbgexit.h"

#include <stdlib.h>

static int dbgexit_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size;
	*ret = 0;
	return 0;
}

static int dbgexit_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size, (void)value; // the event carries the value
	return DEV_EVENT_DEBUG_EXIT;
}

static const struct dev_ops dbgexit_ops = { .read = dbgexit_read, .write = dbgexit_write };

struct dbgexit *dbgexit_create(void)
{
	struct dbgexit *e = calloc(1, sizeof(*e));

	if (e)
		dev_init(&e->dev, &dbgexit_ops, 0);
	return e;
}

void dbgexit_destroy(struct dbgexit *e)
{
	dev_deinit(&e->dev);
	free(e);
}

void dbgexit_reset(struct dbgexit *e)
{
	(void)e;
}

void dbgexit_save(struct dbgexit *e, struct dbgexit_state *ret)
{
	(void)e;
	*ret = (struct dbgexit_state){ .version = DBGEXIT_STATE_VERSION };
}

int dbgexit_load(struct dbgexit *e, const struct dbgexit_state *state)
{
	(void)e;
	return state->version == DBGEXIT_STATE_VERSION ? 0 : -EINVAL;
}
