// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: reading the input piece by piece, driving a device's registers.
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "dev.h"
#include "timer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A broken promise ends the program; libFuzzer keeps the input that led here.
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct input {
	const uint8_t *at;
	size_t left;
};

// The next `bytes` (at most 8) as a number; zeros once the input is used up.
static inline uint64_t take(struct input *in, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes && in->left; i++, in->left--)
		value |= (uint64_t)*in->at++ << (8 * i);
	return value;
}

static inline void take_into(struct input *in, void *ret, size_t bytes)
{
	size_t n = bytes < in->left ? bytes : in->left;

	memset(ret, 0, bytes);
	memcpy(ret, in->at, n);
	in->at += n;
	in->left -= n;
}

// A device's registers: `regions` of at least `bytes` each, accesses of up to `widest`.
struct registers {
	struct dev *dev;
	uint32_t regions;
	uint64_t bytes;
	uint32_t widest;
};

// One access as the bus would make it: inside the region, with the device's lock held.
static inline void access_registers(struct input *in, const struct registers *r)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t region = (how >> 3) % r->regions, size = 1u << (how >> 1 & 3);
	uint64_t value = UINT64_MAX;

	while (size > r->widest || size > r->bytes)
		size /= 2;
	uint64_t offset = take(in, 2) % (r->bytes - size + 1);
	lock_take(&r->dev->lock);
	if (how & 1) {
		MUST(r->dev->ops->read(r->dev, region, offset, size, &value) >= 0);
	} else {
		value = take(in, size);
		MUST(r->dev->ops->write(r->dev, region, offset, size, value) >= 0);
	}
	lock_drop(&r->dev->lock);
}

// Moves a manual clock by up to 16 ms: with the shortest periods that is some hundred timer runs.
static inline void step_clock(struct input *in, struct vclock *clock)
{
	vclock_step(clock, (int64_t)(take(in, 3)));
}

// What is saved can be loaded; what the input invents is refused or makes a state that can be
// saved.
#define FUZZ_STATE(name, device, in)                                                               \
	do {                                                                                       \
		struct name##_state state;                                                         \
		name##_save(device, &state);                                                       \
		MUST(!name##_load(device, &state));                                                \
		if (take(in, 1) & 1) {                                                             \
			uint32_t version = state.version;                                          \
			take_into(in, &state, sizeof(state));                                      \
			state.version = version;                                                   \
			int err = name##_load(device, &state);                                     \
			MUST(!err || err == -EINVAL);                                              \
		}                                                                                  \
	} while (0)

#endif
