// SPDX-License-Identifier: Apache-2.0
#include "pmtimer.h"

#include <stdlib.h>

static int pmtimer_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t *ret)
{
	struct pmtimer *t = container_of(d, struct pmtimer, dev);
	uint64_t value = pmtimer_ticks(vclock_ns(t->clock)) & t->mask;

	(void)region;
	(void)size; // the bus drops what lies above
	*ret = value >> 8 * offset;
	return 0;
}

static int pmtimer_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size, (void)value; // a read-only register
	return 0;
}

static void set_bits(struct pmtimer *t, uint32_t bits)
{
	t->bits = bits;
	t->mask = (1ull << bits) - 1;
}

static const struct dev_ops pmtimer_ops = { .read = pmtimer_read, .write = pmtimer_write };

struct pmtimer *pmtimer_create(struct vclock *clock, uint32_t bits)
{
	struct pmtimer *t = bits == 24 || bits == 32 ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	dev_init(&t->dev, &pmtimer_ops, 0);
	t->clock = clock;
	set_bits(t, bits);
	return t;
}

void pmtimer_destroy(struct pmtimer *t)
{
	dev_deinit(&t->dev);
	free(t);
}

void pmtimer_reset(struct pmtimer *t)
{
	(void)t;
}

void pmtimer_save(struct pmtimer *t, struct pmtimer_state *ret)
{
	*ret = (struct pmtimer_state){ .version = PMTIMER_STATE_VERSION, .bits = t->bits };
}

int pmtimer_load(struct pmtimer *t, const struct pmtimer_state *state)
{
	if (state->version != PMTIMER_STATE_VERSION || (state->bits != 24 && state->bits != 32))
		return -EINVAL;
	LOCKED(&t->dev.lock);
	set_bits(t, state->bits);
	return 0;
}
