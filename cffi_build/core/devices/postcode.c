// SPDX-License-Identifier: Apache-2.0
#include "postcode.h"

#include <stdlib.h>

static int postcode_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t *ret)
{
	struct postcode *p = container_of(d, struct postcode, dev);

	(void)region, (void)offset, (void)size;
	*ret = p->last;
	return 0;
}

// A value other than the last one. Context: lock held.
static COLD void record(struct postcode *p, uint8_t code)
{
	p->mark[p->recorded++ % POSTCODE_MARKS] =
		(struct postcode_mark){ .ns = vclock_ns(p->clock), .value = code };
	p->last = code;
}

static int postcode_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			  uint64_t value)
{
	struct postcode *p = container_of(d, struct postcode, dev);
	uint8_t code = (uint8_t)value; // GUEST: any byte

	(void)region, (void)offset, (void)size;
	if (unlikely(!p->writes++) || unlikely(code != p->last))
		record(p, code);
	return 0;
}

static const struct dev_ops postcode_ops = { .read = postcode_read, .write = postcode_write };

struct postcode *postcode_create(struct vclock *clock)
{
	struct postcode *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	dev_init(&p->dev, &postcode_ops, DEV_BYTES);
	p->clock = clock;
	return p;
}

void postcode_destroy(struct postcode *p)
{
	dev_deinit(&p->dev);
	free(p);
}

void postcode_reset(struct postcode *p)
{
	(void)p;
}

void postcode_save(struct postcode *p, struct postcode_state *ret)
{
	LOCKED(&p->dev.lock);
	*ret = (struct postcode_state){
		.version = POSTCODE_STATE_VERSION,
		.last = p->last,
		.writes = p->writes,
		.recorded = p->recorded,
	};
	for (uint32_t i = 0; i < POSTCODE_MARKS; i++) {
		ret->ns[i] = p->mark[i].ns;
		ret->value[i] = (uint8_t)p->mark[i].value;
	}
}

int postcode_load(struct postcode *p, const struct postcode_state *state)
{
	if (state->version != POSTCODE_STATE_VERSION || state->last > 0xff ||
	    state->recorded > state->writes)
		return -EINVAL;
	LOCKED(&p->dev.lock);
	p->last = (uint8_t)state->last;
	p->writes = state->writes;
	p->recorded = state->recorded;
	for (uint32_t i = 0; i < POSTCODE_MARKS; i++)
		p->mark[i] = (struct postcode_mark){ state->ns[i], state->value[i] };
	return 0;
}

uint32_t postcode_marks(struct postcode *p, uint64_t from, struct postcode_mark *ret, uint32_t max,
			uint64_t *next)
{
	uint32_t n = 0;

	LOCKED(&p->dev.lock);
	uint64_t oldest = p->recorded > POSTCODE_MARKS ? p->recorded - POSTCODE_MARKS : 0;
	uint64_t at = from > oldest ? from : oldest;
	while (at < p->recorded && n < max)
		ret[n++] = p->mark[at++ % POSTCODE_MARKS];
	*next = at;
	return n;
}

uint64_t postcode_writes(struct postcode *p)
{
	LOCKED(&p->dev.lock);
	return p->writes;
}
