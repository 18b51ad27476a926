// SPDX-License-Identifier: Apache-2.0
// Byte channels: what UART, debug console, virtio and Xen consoles write to and read from.
//
// A channel has a bounded output buffer drained by the loop, and hands input to its front-end only
// as fast as that takes it. Bytes put are flushed by the loop at the latest FLUSH_NS later, so that a
// guest that writes byte by byte costs one wake-up per interval and not one per byte.
#ifndef VMM_CHAN_H
#define VMM_CHAN_H

#include "base.h"
#include "loop.h"

enum chan_overflow {
	CHAN_BLOCK, // a full buffer refuses bytes: the front-end holds the guest back
	CHAN_DROP, // a full buffer loses its oldest bytes, counts them and marks the place
};

#define CHAN_TAIL 16384 // last bytes written by the guest, kept for the exit report

struct chan;

// The guest side of a channel; all called on the loop's thread with no lock held.
struct chan_front {
	// Takes up to len bytes of input, returns how many.
	size_t (*rx)(void *opaque, const uint8_t *buf, size_t len);
	// The output buffer has room again (CHAN_BLOCK only).
	void (*tx_ready)(void *opaque);
	void *opaque;
};

struct chan_counters {
	uint64_t out_bytes, in_bytes, dropped_bytes, flushes, peers;
};

// limit: bytes of output buffer, 4 KiB to 1 GiB; grown on demand up to it.
struct chan *chan_create(struct loop *l, uint64_t limit, enum chan_overflow overflow);
// Flushes what can be written without waiting, then closes its own descriptors.
void chan_destroy(struct chan *c);
void chan_set_front(struct chan *c, const struct chan_front *f);
// The host side: descriptors are duplicated by the caller and owned by the channel from here on; -1 for none. A
// live channel's descriptors may be replaced. 0 or -errno.
int chan_attach(struct chan *c, int in_fd, int out_fd);
// A listening socket: one peer at a time is accepted, the next after it has gone.
int chan_listen(struct chan *c, int listen_fd);
// Input byte 0x01 (Ctrl-A) starts an escape: commands are posted as LOOP_ESCAPE.
void chan_set_escape(struct chan *c, bool on);
// Watch the output for the kernel's panic line and post LOOP_PANIC_LINE once per match.
void chan_watch_panic(struct chan *c, bool on);

// Guest output, any thread. Returns how many bytes were taken: all with CHAN_DROP.
size_t chan_put(struct chan *c, const uint8_t *buf, size_t len);
// Room for at least one byte? (CHAN_BLOCK; always true with CHAN_DROP.)
bool chan_can_put(struct chan *c);
// The front-end can take input again.
void chan_rx_resume(struct chan *c);
// Writes out what the peer takes, waiting up to timeout_ms; returns bytes left.
uint64_t chan_flush(struct chan *c, int timeout_ms);
// Copies the last bytes put (at most CHAN_TAIL), returns how many.
size_t chan_tail(struct chan *c, uint8_t *ret, size_t len);
void chan_counters(struct chan *c, struct chan_counters *ret);

#endif
