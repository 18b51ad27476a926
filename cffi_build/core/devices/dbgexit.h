// SPDX-License-Identifier: Apache-2.0
// isa-debug-exit: a write of any width ends the machine with exit code (value << 1) | 1.
#ifndef VMM_DBGEXIT_H
#define VMM_DBGEXIT_H

#include "dev.h"

#define DBGEXIT_STATE_VERSION 1

struct dbgexit {
	struct dev dev;
};

struct dbgexit_state {
	uint32_t version;
};

struct dbgexit *dbgexit_create(void);
void dbgexit_destroy(struct dbgexit *e);
// There is nothing to reset or restore; the functions exist so that every device has the same face.
void dbgexit_reset(struct dbgexit *e);
void dbgexit_save(struct dbgexit *e, struct dbgexit_state *ret);
int dbgexit_load(struct dbgexit *e, const struct dbgexit_state *state);

#endif
