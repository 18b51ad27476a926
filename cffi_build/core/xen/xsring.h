// SPDX-License-Identifier: Apache-2.0
// The xenstore ring (xen/include/public/io/xs_wire.h): moves whole messages between the guest's
// page and whoever answers them. What they mean is not known here.
//
// One request at a time: the next is handed out when the guest has room for all that was answered,
// so that a guest that reads nothing is answered nothing.
#ifndef VMM_XSRING_H
#define VMM_XSRING_H

#include "gmem.h"
#include "loop.h"

enum {
	XSRING_SIZE = 1024, // bytes of each direction
	XSRING_HEADER = 16, // struct xsd_sockmsg
	XSRING_PAYLOAD = 4096, // XENSTORE_PAYLOAD_MAX
	XSRING_MESSAGE = XSRING_HEADER + XSRING_PAYLOAD,
	// What is posted, with the ring as source: there may be something to do.
	XSRING_EVENT = LOOP_USER + 40,
};

// What xsring_take() found.
enum {
	XSRING_NONE = 0, // nothing, or the guest has yet to read
	XSRING_RESTARTED = -1, // the guest begins anew: what it had asked for before is void
	XSRING_IDLE = -2, // no request, and the guest has read everything
};

struct xsring_counters {
	uint64_t requests, sent, kicks;
	uint64_t restarts; // asked for by the guest
	uint64_t broken; // times that an index or a length was impossible
};

struct xsring {
	struct lock lock; // guards all below; a leaf, but for the loop's
	struct gmem *memory;
	struct gmem_dev gmem_dev;
	struct loop *loop;
	uint64_t page; // guest-physical address
	int handle, kick, call; // -1: not connected
	bool paused, broken, restarted;
	uint32_t req_cons, rsp_prod; // ours
	uint32_t in_len, out_at, out_len;
	uint8_t in[XSRING_MESSAGE]; // the request as far as it has come
	uint8_t out[XSRING_MESSAGE]; // what is being sent
	struct xsring_counters counters;
};

struct xsring *xsring_create(struct gmem *memory, struct loop *loop);
void xsring_destroy(struct xsring *r);
// The guest finds its page, all zeroes, at `page`. The descriptors stay the caller's. 0 or -errno.
int xsring_connect(struct xsring *r, uint64_t page, int kick, int call);
// Nothing touches the page or the descriptors any more. May be repeated.
void xsring_disconnect(struct xsring *r);
// Guest memory stays as it is until the next call with false.
void xsring_pause(struct xsring *r, bool paused);
// The next request into `ret`, XSRING_MESSAGE bytes: its length, or one of the above. Any thread.
int xsring_take(struct xsring *r, uint8_t *ret);
// Sends a message of at most XSRING_MESSAGE bytes. -EAGAIN: not before xsring_take() gave something
// other than XSRING_NONE; -EMSGSIZE. Any thread.
int xsring_put(struct xsring *r, const uint8_t *message, uint32_t len);
void xsring_counters(struct xsring *r, struct xsring_counters *ret);

#endif
