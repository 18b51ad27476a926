// SPDX-License-Identifier: Apache-2.0
#include "resetport.h"

#include <stdlib.h>

enum {
	SYS_RST = 1 << 1, // hard reset instead of an INIT of the processor
	RST_CPU = 1 << 2, // 0 to 1 resets
	FULL_RST = 1 << 3, // power cycle
	CONTROL_BITS = SYS_RST | RST_CPU | FULL_RST,

	FAST_INIT = 1 << 0, // 0 to 1 resets
	FAST_A20 = 1 << 1,
	PORT92_BITS = FAST_INIT | FAST_A20,
	PORT92_INITIAL = FAST_A20,
};

static int resetport_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			  uint64_t *ret)
{
	struct resetport *r = container_of(d, struct resetport, dev);

	(void)offset, (void)size;
	*ret = region == RESETPORT_92 ? r->port92 : r->control;
	return 0;
}

// Remembers `value` and resets when `trigger` goes from 0 to 1. Both reset kinds are a whole reset
// here.
static int latch(uint8_t *reg, uint64_t value, uint32_t bits, uint32_t trigger)
{
	bool rises = (value & trigger) && !(*reg & trigger);

	*reg = (uint8_t)(value & bits); // GUEST: undefined bits read back as 0
	return rises ? DEV_EVENT_RESET : 0;
}

static int resetport_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			   uint64_t value)
{
	struct resetport *r = container_of(d, struct resetport, dev);

	(void)offset, (void)size;
	if (region == RESETPORT_92)
		return latch(&r->port92, value, PORT92_BITS, FAST_INIT);
	return latch(&r->control, value, CONTROL_BITS, RST_CPU);
}

static const struct dev_ops resetport_ops = { .read = resetport_read, .write = resetport_write };

struct resetport *resetport_create(void)
{
	struct resetport *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	dev_init(&r->dev, &resetport_ops, 0);
	r->port92 = PORT92_INITIAL;
	return r;
}

void resetport_destroy(struct resetport *r)
{
	dev_deinit(&r->dev);
	free(r);
}

void resetport_reset(struct resetport *r)
{
	LOCKED(&r->dev.lock);
	r->control = 0;
	r->port92 = PORT92_INITIAL;
}

void resetport_save(struct resetport *r, struct resetport_state *ret)
{
	LOCKED(&r->dev.lock);
	*ret = (struct resetport_state){
		.version = RESETPORT_STATE_VERSION,
		.control = r->control,
		.port92 = r->port92,
	};
}

int resetport_load(struct resetport *r, const struct resetport_state *state)
{
	if (state->version != RESETPORT_STATE_VERSION || state->control & ~(uint32_t)CONTROL_BITS ||
	    state->port92 & ~(uint32_t)PORT92_BITS)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	r->control = (uint8_t)state->control;
	r->port92 = (uint8_t)state->port92;
	return 0;
}
