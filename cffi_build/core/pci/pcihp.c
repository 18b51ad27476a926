// SPDX-License-Identifier: Apache-2.0
#include "pcihp.h"

#include <stdlib.h>

static uint32_t take(uint32_t *word)
{
	uint32_t bits = *word;

	*word = 0;
	return bits;
}

static int pcihp_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct pcihp *h = container_of(d, struct pcihp, dev);

	(void)region;
	if (size != 4)
		return 0;
	if (offset == PCIHP_UP)
		*ret = take(&h->up);
	else if (offset == PCIHP_DOWN)
		*ret = take(&h->down);
	else
		*ret = 0;
	return 0;
}

static int pcihp_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	(void)d, (void)region;
	// GUEST: any slots; who handles the event looks what is in them.
	return size == 4 && offset == PCIHP_EJECT && value ? DEV_EVENT_EJECT : 0;
}

static const struct dev_ops pcihp_ops = { .read = pcihp_read, .write = pcihp_write };

struct pcihp *pcihp_create(void)
{
	struct pcihp *h = calloc(1, sizeof(*h));

	if (h)
		dev_init(&h->dev, &pcihp_ops, 0);
	return h;
}

void pcihp_destroy(struct pcihp *h)
{
	dev_deinit(&h->dev);
	free(h);
}

void pcihp_reset(struct pcihp *h)
{
	LOCKED(&h->dev.lock);
	h->up = h->down = 0;
}

void pcihp_save(struct pcihp *h, struct pcihp_state *ret)
{
	LOCKED(&h->dev.lock);
	*ret = (struct pcihp_state){ PCIHP_STATE_VERSION, h->up, h->down };
}

int pcihp_load(struct pcihp *h, const struct pcihp_state *state)
{
	if (state->version != PCIHP_STATE_VERSION)
		return -EINVAL;
	LOCKED(&h->dev.lock);
	h->up = state->up;
	h->down = state->down;
	return 0;
}

void pcihp_came(struct pcihp *h, uint32_t slot)
{
	LOCKED(&h->dev.lock);
	h->up |= UINT32_C(1) << slot;
}

void pcihp_shall_go(struct pcihp *h, uint32_t slot)
{
	LOCKED(&h->dev.lock);
	h->down |= UINT32_C(1) << slot;
}

void pcihp_left(struct pcihp *h, uint32_t slot)
{
	LOCKED(&h->dev.lock);
	h->up &= ~(UINT32_C(1) << slot);
	h->down &= ~(UINT32_C(1) << slot);
}
