// SPDX-License-Identifier: Apache-2.0
// The Xen PV console: two byte rings in one page, to and from a channel. Everything runs on the
// loop's thread but what changes its life.
#ifndef VMM_XENCON_H
#define VMM_XENCON_H

#include "chan.h"
#include "gmem.h"

enum {
	XENCON_IN = 1024, // bytes of each ring
	XENCON_OUT = 2048,
};

struct xencon_counters {
	uint64_t tx_bytes, rx_bytes;
	uint64_t kicks, calls; // times the guest has sent its event, and was sent it
	uint64_t tx_blocked; // times that the channel took no more
	uint64_t broken; // times that an index was impossible
};

struct xencon {
	struct lock lock; // guards all below; not held over calls of the channel
	struct gmem *memory;
	struct gmem_dev gmem_dev;
	struct loop *loop;
	struct chan *chan;
	uint64_t page; // guest-physical address
	int handle, kick, call; // -1: not connected
	bool paused, broken, rx_waits;
	uint32_t in_prod, out_cons; // ours
	uint32_t life; // counts connections
	struct xencon_counters counters;
};

// The channel outlives it. NULL with errno set.
struct xencon *xencon_create(struct gmem *memory, struct loop *loop, struct chan *chan);
void xencon_destroy(struct xencon *c);
// The guest finds its page at `page`, all zeroes, sends by `kick` and is told by `call`; both stay
// the caller's. 0 or -errno.
int xencon_connect(struct xencon *c, uint64_t page, int kick, int call);
// Nothing touches the page or the descriptors any more. May be repeated.
void xencon_disconnect(struct xencon *c);
// Guest memory stays as it is until the next call with false.
void xencon_pause(struct xencon *c, bool paused);
void xencon_counters(struct xencon *c, struct xencon_counters *ret);

#endif
