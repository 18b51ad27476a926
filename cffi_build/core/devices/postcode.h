// SPDX-License-Identifier: Apache-2.0
// Port 0x80: a guest's boot marks, each with the time at which it was seen.
//
// Kernels also write this port only to pass time, so a value equal to the one before it is counted
// but leaves no record, and the ring keeps the newest POSTCODE_MARKS.
#ifndef VMM_POSTCODE_H
#define VMM_POSTCODE_H

#include "dev.h"
#include "timer.h"

enum {
	POSTCODE_MARKS = 128,
	POSTCODE_STATE_VERSION = 1,
};

struct postcode_mark {
	int64_t ns; // virtual time
	uint32_t value;
};

struct postcode {
	struct dev dev;
	struct vclock *clock;
	uint64_t writes; // all of them, repeated values too
	uint64_t recorded; // marks ever put into the ring
	uint8_t last;
	struct postcode_mark mark[POSTCODE_MARKS];
};

struct postcode_state {
	uint32_t version;
	uint32_t last;
	uint64_t writes, recorded;
	int64_t ns[POSTCODE_MARKS];
	uint8_t value[POSTCODE_MARKS];
};

struct postcode *postcode_create(struct vclock *clock);
void postcode_destroy(struct postcode *p);
// Keeps the marks: a timeline covers the whole life of the machine.
void postcode_reset(struct postcode *p);
void postcode_save(struct postcode *p, struct postcode_state *ret);
int postcode_load(struct postcode *p, const struct postcode_state *state);

// Copies up to `max` marks, oldest first, skipping the first `from` ever recorded (or what the ring
// has lost of them). Returns how many; *next is the `from` of the next call. Any thread.
uint32_t postcode_marks(struct postcode *p, uint64_t from, struct postcode_mark *ret, uint32_t max,
			uint64_t *next);
uint64_t postcode_writes(struct postcode *p);

#endif
