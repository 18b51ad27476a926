// SPDX-License-Identifier: Apache-2.0
// pvpanic: the port on which a guest's kernel says that it has panicked.
#ifndef VMM_PVPANIC_H
#define VMM_PVPANIC_H

#include "dev.h"

enum {
	PVPANIC_PANICKED = 1 << 0,
	PVPANIC_CRASH_LOADED = 1 << 1, // a crash kernel goes on
	PVPANIC_STATE_VERSION = 1,
};

struct pvpanic {
	struct dev dev;
	uint32_t seen; // events reported since the last reset
};

struct pvpanic_state {
	uint32_t version;
	uint32_t seen;
};

struct pvpanic *pvpanic_create(void);
void pvpanic_destroy(struct pvpanic *p);
void pvpanic_reset(struct pvpanic *p);
void pvpanic_save(struct pvpanic *p, struct pvpanic_state *ret);
int pvpanic_load(struct pvpanic *p, const struct pvpanic_state *state);

#endif
