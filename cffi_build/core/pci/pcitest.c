// SPDX-License-Identifier: Apache-2.0
#include "pcitest.h"

#include <stdlib.h>

// The header, little-endian; all of it but the first byte is read-only.
enum {
	HDR_TEST = 0,
	HDR_WIDTH = 1,
	HDR_OFFSET = 4, // 32 bits
	HDR_DATA = 8,
	HDR_COUNT = 12, // 32 bits
	HDR_NAME = 16, // with its terminator
	HDR_MAX = 64,
};

static const char *const names[2 * PCITEST_TESTS] = {
	"mmio-no-eventfd",   "mmio-wildcard-eventfd",	"mmio-datamatch-eventfd",
	"portio-no-eventfd", "portio-wildcard-eventfd", "portio-datamatch-eventfd",
};

uint32_t pcitest_offset(uint32_t region, uint32_t test)
{
	uint32_t half = (region == PCITEST_PORTS ? PCITEST_PORTS_SIZE : PCITEST_MEMORY_SIZE) / 2;

	return half + region * PCITEST_TESTS + test;
}

static uint8_t data_of(uint32_t test)
{
	return test == PCITEST_WILDCARD ? PCITEST_NO_MATCH : PCITEST_MATCH;
}

static int pcitest_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t *ret)
{
	struct pcitest *t = container_of(d, struct pcitest, dev);
	uint8_t header[HDR_MAX] = { 0 };

	(void)region, (void)size; // bytes only; the test may be the other range's
	*ret = 0;
	if (t->current < 0 || offset >= HDR_MAX)
		return 0;
	uint32_t test = (uint32_t)t->current % PCITEST_TESTS;
	uint32_t at = pcitest_offset((uint32_t)t->current / PCITEST_TESTS, test);
	header[HDR_TEST] = (uint8_t)t->current;
	header[HDR_WIDTH] = 1;
	memcpy(&header[HDR_OFFSET], &at, sizeof(at));
	header[HDR_DATA] = data_of(test);
	memcpy(&header[HDR_COUNT], &t->count, sizeof(t->count));
	strncpy((char *)&header[HDR_NAME], names[t->current], HDR_MAX - HDR_NAME - 1);
	*ret = header[offset];
	return 0;
}

static int pcitest_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t value)
{
	struct pcitest *t = container_of(d, struct pcitest, dev);

	(void)size;
	if (offset == HDR_TEST) {
		// GUEST: any number; those that are no test end the present one.
		bool known = value < PCITEST_TESTS;
		t->current = known ? (int32_t)((uint64_t)region * PCITEST_TESTS + value) : -1;
		t->count = 0;
		return 0;
	}
	if (t->current < 0)
		return 0;
	uint32_t test = (uint32_t)t->current % PCITEST_TESTS;
	if (offset == pcitest_offset(region, test) &&
	    region == (uint32_t)t->current / PCITEST_TESTS &&
	    (test == PCITEST_WILDCARD || value == PCITEST_MATCH))
		t->count++;
	return 0;
}

static const struct dev_ops pcitest_ops = { .read = pcitest_read, .write = pcitest_write };

struct pcitest *pcitest_create(void)
{
	struct pcitest *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	dev_init(&t->dev, &pcitest_ops, DEV_BYTES);
	t->current = -1;
	return t;
}

void pcitest_destroy(struct pcitest *t)
{
	dev_deinit(&t->dev);
	free(t);
}

void pcitest_reset(struct pcitest *t)
{
	LOCKED(&t->dev.lock);
	t->current = -1;
	t->count = 0;
}

void pcitest_save(struct pcitest *t, struct pcitest_state *ret)
{
	LOCKED(&t->dev.lock);
	*ret = (struct pcitest_state){ PCITEST_STATE_VERSION, t->current, t->count };
}

int pcitest_load(struct pcitest *t, const struct pcitest_state *state)
{
	if (state->version != PCITEST_STATE_VERSION || state->current < -1 ||
	    state->current >= 2 * PCITEST_TESTS)
		return -EINVAL;
	LOCKED(&t->dev.lock);
	t->current = state->current;
	t->count = state->count;
	return 0;
}
