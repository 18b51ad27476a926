// SPDX-License-Identifier: Apache-2.0
#include "pvpanic.h"

#include <stdlib.h>

enum {
	SUPPORTED = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED,
};

static int pvpanic_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size;
	*ret = SUPPORTED;
	return 0;
}

static int pvpanic_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t value)
{
	struct pvpanic *p = container_of(d, struct pvpanic, dev);

	(void)region, (void)offset, (void)size;
	p->seen |= (uint32_t)value & SUPPORTED; // GUEST: bits we never offered are ignored
	if (value & PVPANIC_PANICKED)
		return DEV_EVENT_PANIC;
	return value & PVPANIC_CRASH_LOADED ? DEV_EVENT_CRASH_LOADED : 0;
}

static const struct dev_ops pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write };

struct pvpanic *pvpanic_create(void)
{
	struct pvpanic *p = calloc(1, sizeof(*p));

	if (p)
		dev_init(&p->dev, &pvpanic_ops, DEV_BYTES);
	return p;
}

void pvpanic_destroy(struct pvpanic *p)
{
	dev_deinit(&p->dev);
	free(p);
}

void pvpanic_reset(struct pvpanic *p)
{
	LOCKED(&p->dev.lock);
	p->seen = 0;
}

void pvpanic_save(struct pvpanic *p, struct pvpanic_state *ret)
{
	LOCKED(&p->dev.lock);
	*ret = (struct pvpanic_state){ .version = PVPANIC_STATE_VERSION, .seen = p->seen };
}

int pvpanic_load(struct pvpanic *p, const struct pvpanic_state *state)
{
	if (state->version != PVPANIC_STATE_VERSION || state->seen & ~(uint32_t)SUPPORTED)
		return -EINVAL;
	LOCKED(&p->dev.lock);
	p->seen = state->seen;
	return 0;
}
