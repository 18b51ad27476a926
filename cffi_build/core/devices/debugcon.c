// SPDX-License-Identifier: Apache-2.0
// The debug console: one port, no state that a guest can see.
#include <stdlib.h>

#include "debugcon.h"

static int debugcon_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t *ret)
{
	(void)d;
	(void)region;
	(void)offset;
	(void)size;
	*ret = DEBUGCON_READBACK;
	return 0;
}

// GUEST: bytes. What a full channel in block mode refuses is lost: the port cannot hold the guest
// back.
static void take(struct debugcon *con, const uint8_t *bytes, uint32_t count)
{
	coalesce_zone_hit(&con->zone, count);
	if (unlikely(!coalesce_zone_on(&con->zone)))
		coalesce_zone_set(&con->zone, true); // refused by KVM: plain exits go on
	con->bytes += count;
	con->lost += count - chan_put(con->chan, bytes, count);
}

static int debugcon_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			  uint64_t value)
{
	struct debugcon *con = container_of(d, struct debugcon, dev);
	uint8_t byte = (uint8_t)value; // GUEST:

	(void)region;
	(void)offset;
	(void)size;
	take(con, &byte, 1);
	return 0;
}

static void debugcon_write_burst(struct dev *d, uint32_t region, uint64_t offset,
				 const uint8_t *bytes, uint32_t count)
{
	(void)region;
	(void)offset;
	take(container_of(d, struct debugcon, dev), bytes, count);
}

static const struct dev_ops debugcon_ops = {
	.read = debugcon_read,
	.write = debugcon_write,
	.write_burst = debugcon_write_burst,
};

struct debugcon *debugcon_create(struct chan *chan, struct coalesce *coalesce, uint16_t port)
{
	struct debugcon *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	dev_init(&d->dev, &debugcon_ops, DEV_BYTES);
	d->chan = chan;
	coalesce_zone_init(&d->zone, coalesce, port, 1, true, true);
	return d;
}

void debugcon_destroy(struct debugcon *d)
{
	if (!d)
		return;
	coalesce_zone_deinit(&d->zone);
	dev_deinit(&d->dev);
	free(d);
}

void debugcon_reset(struct debugcon *d)
{
	LOCKED(&d->dev.lock);
	coalesce_zone_set(&d->zone, false);
	d->bytes = 0;
}

void debugcon_save(struct debugcon *d, struct debugcon_state *ret)
{
	LOCKED(&d->dev.lock);
	*ret = (struct debugcon_state){ .version = DEBUGCON_STATE_VERSION, .bytes = d->bytes };
}

void debugcon_counters(struct debugcon *d, struct debugcon_counters *ret)
{
	LOCKED(&d->dev.lock);
	*ret = (struct debugcon_counters){ .bytes = d->bytes, .lost = d->lost };
}

int debugcon_load(struct debugcon *d, const struct debugcon_state *state)
{
	if (state->version != DEBUGCON_STATE_VERSION)
		return -EINVAL;
	LOCKED(&d->dev.lock);
	coalesce_zone_set(&d->zone, false);
	d->bytes = state->bytes;
	return 0;
}
