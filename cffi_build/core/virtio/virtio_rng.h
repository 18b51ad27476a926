// SPDX-License-Identifier: Apache-2.0
// virtio entropy device (virtio 1.2, section 5.4): one queue of buffers to fill with random bytes.
#ifndef VMM_VIRTIO_RNG_H
#define VMM_VIRTIO_RNG_H

#include "timer.h"
#include "virtio.h"

enum {
	RNG_QUEUE_SIZE = 8,
	// A longer buffer is filled in part, as the device may, so that one request stays short.
	RNG_MOST_BYTES = 1 << 16,
	RNG_RETRY_NS = 10000000, // until a source that had nothing is asked again
};

struct virtio_rng_setup {
	struct gmem *mem;
	struct loop *loop;
	struct vclock *clock;
	int source; // file to read, non-blocking, the caller's; -1: getrandom(2)
	uint64_t max_bytes, period_ns; // at most so many bytes in each period; 0: no limit
};

struct virtio_rng {
	struct virtio_dev vdev;
	int source;
	struct vclock *clock;
	struct timer timer; // goes on when there may be bytes again
	bool waiting; // for the timer
	uint64_t max_bytes, quota; // quota: what is left of this period
	int64_t period_ns, period_end;
	_Atomic uint64_t bytes, waits;
	struct iovec piece[VQ_MAX_SIZE];
};

#define VIRTIO_RNG_STATE_VERSION 1

struct virtio_rng_state {
	uint32_t version;
	uint64_t quota;
	int64_t period_end;
};

struct virtio_rng_counters {
	uint64_t bytes; // given to the guest
	uint64_t waits; // for a new period or for the source
};

// NULL: no memory, or the host refused an eventfd or timer; errno says.
struct virtio_rng *virtio_rng_create(const struct virtio_rng_setup *setup);
// See virtio_deinit().
void virtio_rng_destroy(struct virtio_rng *r);
void virtio_rng_save(struct virtio_rng *r, struct virtio_rng_state *ret);
int virtio_rng_load(struct virtio_rng *r, const struct virtio_rng_state *state);
void virtio_rng_counters(struct virtio_rng *r, struct virtio_rng_counters *ret);

#endif
