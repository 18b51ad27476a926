// SPDX-License-Identifier: Apache-2.0
// The debug console at port 0xe9: what is written goes to a channel, reading tells that it is
// there.
#ifndef VMM_DEBUGCON_H
#define VMM_DEBUGCON_H

#include "chan.h"
#include "coalesce.h"
#include "dev.h"

#define DEBUGCON_READBACK 0xe9

#define DEBUGCON_STATE_VERSION 1

struct debugcon_state {
	uint32_t version;
	uint64_t bytes; // written by the guest since the machine's start
};

struct debugcon {
	struct dev dev;
	struct chan *chan;
	struct coalesce_zone zone;
	uint64_t bytes, lost;
};

struct debugcon_counters {
	uint64_t bytes; // written by the guest
	uint64_t lost; // of those, refused by a full channel in block mode
};

// chan: in block mode bytes are lost when it is full, since the port has no way to hold the guest
// back. coalesce: NULL for plain exits. NULL: no memory.
struct debugcon *debugcon_create(struct chan *chan, struct coalesce *coalesce, uint16_t port);
void debugcon_destroy(struct debugcon *d);
void debugcon_reset(struct debugcon *d);
void debugcon_save(struct debugcon *d, struct debugcon_state *ret);
void debugcon_counters(struct debugcon *d, struct debugcon_counters *ret);
// -EINVAL: another version.
int debugcon_load(struct debugcon *d, const struct debugcon_state *state);

#endif
