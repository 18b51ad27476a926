// SPDX-License-Identifier: Apache-2.0
#include "testdev.h"

#include <stdlib.h>

static bool for_debugcon(const struct testdev *t, uint32_t region, uint64_t offset, uint32_t size)
{
	return t->debugcon && region == TESTDEV_BYTES && offset == 1 && size == 1;
}

static int testdev_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t *ret)
{
	struct testdev *t = container_of(d, struct testdev, dev);

	if (for_debugcon(t, region, offset, size)) {
		LOCKED(&t->debugcon->lock);
		return t->debugcon->ops->read(t->debugcon, 0, 0, 1, ret);
	}
	switch (region) {
	case TESTDEV_LATCH:
	case TESTDEV_BYTES:
		*ret = t->latch >> (8 * offset);
		break;
	case TESTDEV_GSI:
		*ret = t->line[offset].level;
		break;
	case TESTDEV_MMIO:
		*ret = 0;
		memcpy(ret, &t->mmio[offset], size); // the bus keeps offset + size inside the range
		break;
	}
	return 0;
}

static void write_latch(struct testdev *t, uint64_t offset, uint32_t size, uint64_t value)
{
	uint32_t mask = (uint32_t)((1ull << (8 * size)) - 1) << (8 * offset);

	t->latch = (t->latch & ~mask) | ((uint32_t)value << (8 * offset) & mask);
}

static int testdev_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t value)
{
	struct testdev *t = container_of(d, struct testdev, dev);

	if (for_debugcon(t, region, offset, size)) {
		LOCKED(&t->debugcon->lock);
		return t->debugcon->ops->write(t->debugcon, 0, 0, 1, value);
	}
	switch (region) {
	case TESTDEV_LATCH:
	case TESTDEV_BYTES:
		write_latch(t, offset, size, value);
		break;
	case TESTDEV_REMAP:
		return size == 4 ? DEV_EVENT_REMAP : 0; // GUEST: any address; the machine checks it
	case TESTDEV_GSI:
		irq_line_set(&t->line[offset], (uint8_t)value != 0);
		break;
	case TESTDEV_MMIO:
		memcpy(&t->mmio[offset], &value, size);
		break;
	}
	return 0;
}

static const struct dev_ops testdev_ops = { .read = testdev_read, .write = testdev_write };

struct testdev *testdev_create(struct irq_hub *hub)
{
	struct testdev *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	dev_init(&t->dev, &testdev_ops, 0);
	for (uint32_t i = 0; i < TESTDEV_GSIS; i++)
		irq_line_init(&t->line[i], hub, i);
	return t;
}

void testdev_set_debugcon(struct testdev *t, struct dev *debugcon)
{
	LOCKED(&t->dev.lock);
	t->debugcon = debugcon;
}

void testdev_destroy(struct testdev *t)
{
	for (uint32_t i = 0; i < TESTDEV_GSIS; i++)
		irq_line_deinit(&t->line[i]);
	dev_deinit(&t->dev);
	free(t);
}

void testdev_reset(struct testdev *t)
{
	LOCKED(&t->dev.lock);
	t->latch = 0;
	memset(t->mmio, 0, sizeof(t->mmio));
	for (uint32_t i = 0; i < TESTDEV_GSIS; i++)
		irq_line_set(&t->line[i], 0);
}

void testdev_save(struct testdev *t, struct testdev_state *ret)
{
	LOCKED(&t->dev.lock);
	ret->version = TESTDEV_STATE_VERSION;
	ret->latch = t->latch;
	for (uint32_t i = 0; i < TESTDEV_GSIS; i++)
		ret->level[i] = (uint8_t)t->line[i].level;
	memcpy(ret->mmio, t->mmio, sizeof(ret->mmio));
}

int testdev_load(struct testdev *t, const struct testdev_state *state)
{
	if (state->version != TESTDEV_STATE_VERSION)
		return -EINVAL;
	for (uint32_t i = 0; i < TESTDEV_GSIS; i++) {
		if (state->level[i] > 1)
			return -EINVAL;
	}
	LOCKED(&t->dev.lock);
	t->latch = state->latch;
	for (uint32_t i = 0; i < TESTDEV_GSIS; i++)
		irq_line_set(&t->line[i], state->level[i]);
	memcpy(t->mmio, state->mmio, sizeof(t->mmio));
	return 0;
}
