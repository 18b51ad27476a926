// SPDX-License-Identifier: Apache-2.0
// Byte channels: what UART, debug console, virtio and Xen consoles write to and read from.
//
// A channel has a bounded output buffer drained by the loop, and hands input to its front-end only
// as fast as that takes it. Bytes put are flushed by the loop CHAN_FLUSH_NS later, so that a guest
// that writes byte by byte costs one wake-up per interval and not one per byte; under continuous
// output the interval grows to CHAN_FLUSH_MAX_NS.
//
// Output while nobody is there: kept before the first chan_attach() and between the peers of a
// listening channel (block or drop as the policy says); thrown away, and counted as dropped, once a
// peer that cannot come back is gone; thrown away silently when attached to nothing (out_fd -1).
#ifndef VMM_CHAN_H
#define VMM_CHAN_H

#include <sys/uio.h>

#include "base.h"
#include "loop.h"

enum chan_overflow {
	CHAN_BLOCK, // a full buffer refuses bytes: the front-end holds the guest back
	CHAN_DROP, // a full buffer loses its oldest bytes, counts them and marks the place
};

#define CHAN_LIMIT_MIN 4096
#define CHAN_LIMIT_DEFAULT (16u << 20)
#define CHAN_LIMIT_MAX (1u << 30)
#define CHAN_TAIL 16384 // last bytes written by the guest, kept for the exit report
#define CHAN_FLUSH_NS 500000 // how long a byte waits for company
#define CHAN_FLUSH_MAX_NS 4000000
#define CHAN_ROOM 64 // pieces that chan_front.room() may name

struct chan;

// The guest side of a channel; all called on the loop's thread with no lock held.
struct chan_front {
	// Takes up to len bytes of input, returns how many. After fewer than len, no more are
	// offered before chan_rx_resume().
	size_t (*rx)(void *opaque, const uint8_t *buf, size_t len);
	// The output buffer has room again (CHAN_BLOCK only, after it refused bytes), or the peer
	// takes more after chan_writev() gave -EAGAIN.
	void (*tx_ready)(void *opaque);
	// Optional, together: input goes from the peer straight to where room() says, at most `max`
	// pieces; filled() follows at once with how many bytes came, perhaps none. No room, 0
	// pieces: not asked again before chan_rx_resume(). While escapes are looked for, and for
	// bytes that had been read before, rx() is called instead.
	int (*room)(void *opaque, struct iovec *ret, int max);
	void (*filled)(void *opaque, size_t len);
	// Optional: chan_connected() has changed, or this front-end is new. A peer that was
	// followed by another one at once is told of as gone and as come.
	void (*peer)(void *opaque, bool connected);
	void *opaque;
};

struct chan_counters {
	uint64_t out_bytes; // put by the guest, kept or not
	uint64_t in_bytes; // taken by the front-end
	uint64_t dropped_bytes; // output that no peer will see
	// Input thrown away because the guest took nothing for CHAN_STALL_NS.
	uint64_t in_dropped_bytes;
	uint64_t flushes; // writes to the peer
	uint64_t wakeups; // times the loop was woken for this channel
	uint64_t peers; // peers that joined
	uint64_t buffered; // output waiting now
};

// limit: bytes of output buffer, CHAN_LIMIT_MIN to CHAN_LIMIT_MAX; grown on demand up to it. NULL
// with errno set.
struct chan *chan_create(struct loop *l, uint64_t limit, enum chan_overflow overflow);
// Flushes what can be written without waiting, then closes its own descriptors. No front-end
// puts any more.
void chan_destroy(struct chan *c);
// f is copied; NULL for none, which returns when no call into the old one can be running any more
// (at once on the loop's thread): not with a lock held that the front's functions take.
void chan_set_front(struct chan *c, const struct chan_front *f);
// The host side: descriptors are duplicated by the caller and owned by the channel from here on
// (closed also on failure); -1 for none; in_fd == out_fd is allowed. A live channel's descriptors
// may be replaced. 0 or -errno. What is neither a socket nor a regular file should be O_NONBLOCK;
// if it is not, it is polled and written to in small pieces, which can stall the loop when others
// write to it too. The process ignores SIGPIPE.
int chan_attach(struct chan *c, int in_fd, int out_fd);
// A listening socket, non-blocking, owned from here on: one peer at a time is accepted, the next
// after it has gone.
int chan_listen(struct chan *c, int listen_fd);
// The buffer itself is where output ends: the last `limit` bytes with CHAN_DROP, what chan_take()
// has not taken yet with CHAN_BLOCK. in_fd as with chan_attach().
int chan_keep(struct chan *c, int in_fd);
// What a kept buffer has, oldest first, and no longer keeps; how many bytes.
size_t chan_take(struct chan *c, uint8_t *ret, size_t len);
// The peer, a pseudo-terminal's master, counts as there only while somebody has its slave `path`
// open; the caller does not. Each first opener finds the settings that the slave has now. What the
// last one has not read when it leaves is gone. 0 or -errno.
int chan_watch_opens(struct chan *c, const char *path);
// Input byte 0x01 (Ctrl-A) starts an escape: the byte after it is posted as LOOP_ESCAPE, except
// that a second 0x01 stands for one to the guest.
void chan_set_escape(struct chan *c, bool on);
// Watch the output for the kernel's panic line and post LOOP_PANIC_LINE once per match.
void chan_watch_panic(struct chan *c, bool on);

// Guest output, any thread. Returns how many bytes were taken: all with CHAN_DROP.
size_t chan_put(struct chan *c, const uint8_t *buf, size_t len);
// Output past the buffer, straight to the peer and after all that was put: neither tail nor panic
// watch see it. The loop's thread only, with no lock held. Returns how many bytes were taken (at
// least one, unless the pieces are empty), -EAGAIN (tx_ready follows), -ENOTCONN (nobody is there).
ssize_t chan_writev(struct chan *c, const struct iovec *iov, int count);
// Room for at least one byte? (CHAN_BLOCK; always true with CHAN_DROP.)
bool chan_can_put(struct chan *c);
// The front-end can take input again. Any thread, also with the device's lock held.
void chan_rx_resume(struct chan *c);
// The same, and input that is there comes before this returns. The loop's thread only, with no lock
// held and not from within the front-end's functions.
void chan_rx_now(struct chan *c);
bool chan_has_peer(struct chan *c);
// errno of the write that ended the output for good; 0 if none did.
int chan_out_error(struct chan *c);
// Whether output has a place to go and input may come: a peer, a kept buffer, nothing by choice.
bool chan_connected(struct chan *c);
// Writes out what the peer takes, waiting up to timeout_ms; returns bytes left.
uint64_t chan_flush(struct chan *c, int timeout_ms);
// Copies the last bytes put (at most CHAN_TAIL), returns how many.
size_t chan_tail(struct chan *c, uint8_t *ret, size_t len);
void chan_counters(struct chan *c, struct chan_counters *ret);

#endif
