// SPDX-License-Identifier: Apache-2.0
// Ports that a guest probes although nothing is there: reads give ones, writes vanish.
//
// They are claimed all the same, because only a claimed range is known by name in the statistics
// and may have its writes coalesced.
#ifndef VMM_NULLPORT_H
#define VMM_NULLPORT_H

#include "dev.h"

#define NULLPORT_STATE_VERSION 1

struct nullport {
	struct dev dev;
};

struct nullport_state {
	uint32_t version;
};

struct nullport *nullport_create(void);
void nullport_destroy(struct nullport *n);
void nullport_reset(struct nullport *n);
void nullport_save(struct nullport *n, struct nullport_state *ret);
int nullport_load(struct nullport *n, const struct nullport_state *state);

#endif
