// SPDX-License-Identifier: Apache-2.0
// Inside a channel: shared by chan.c and chan_watch.c (the guest's side), chan_in.c, chan_out.c,
// chan_peer.c, chan_link.c, chan_opens.c and chan_straight.c (the loop's side) only.
#ifndef VMM_CHAN_IMPL_H
#define VMM_CHAN_IMPL_H

#include <termios.h>
#include <time.h>

#include "chan.h"

#define CHAN_RING_MIN 32768 // at least CHAN_TAIL, a power of two
#define CHAN_RING_KEEP (1u << 20) // a larger ring shrinks back once it is empty
#define CHAN_HAND 16384 // bytes offered to the peer in one write
#define CHAN_SLAVE 64 // the path of a pseudo-terminal's slave
#define CHAN_IN 4096 // input that the front-end has not taken yet
#define CHAN_STALL_NS                                                                              \
	1000000000 // see chan_counters.in_dropped_bytes; also the pause after a failed accept
#define CHAN_NOW_NS 1 // as soon as the loop gets there

enum chan_out {
	OUT_WAITING, // nobody yet, nobody now, or chan_keep(): bytes are kept
	OUT_READY, // out_fd takes bytes
	OUT_FULL, // out_fd took less than it was offered; EPOLLOUT is armed
	OUT_NONE, // nobody and never again: bytes are thrown away
};

// Where the panic watch stands in the current line.
enum chan_line {
	LINE_PREFIX, // at its start, or inside the time stamp before the text
	LINE_MATCH, // `matched` bytes of the panic text have come
	LINE_REST, // no match in this line
};

// What chan_attach() was given.
struct chan_peer {
	int in_fd, out_fd; // may be one and the same
	int in_handle, out_handle;
	bool in_sock, out_sock;
	bool in_direct; // in_fd cannot be polled (a regular file): it is read without asking
	bool out_slow; // a blocking descriptor: polled before every small write
	bool keep; // chan_keep()
};

struct chan {
	struct loop *loop;
	enum chan_overflow overflow;
	int timer_fd, timer_handle; // deferred work on the loop's thread: flush, resumed input

	// Guards what the guest's side and the loop's side share. A leaf, except for the loop's
	// own lock; never held over a system call that moves bytes or over a call to the front-end.
	pthread_mutex_t lock;
	// The ring: positions count bytes since creation, position p lies at ring[p % size]. The
	// last `size` bytes before put_at are there even when they have been flushed: the tail.
	uint8_t *ring;
	uint64_t size, put_at, get_at;
	uint64_t limit; // lowered to `size` when the ring cannot grow
	uint64_t lost; // bytes dropped since the last mark
	uint64_t timer_ns; // the interval timer_fd was armed with, 0 when it is not
	uint64_t flush_ns; // the interval for the next flush
	int64_t flushed_at; // CLOCK_MONOTONIC of the last deferred work
	bool refused; // chan_put() took less than it was offered: tx_ready is due
	bool panic_watch, panic_due; // due: to be posted as soon as the queue has room
	uint64_t watched_at; // the panic watch has seen the ring up to here
	enum chan_line line;
	uint32_t matched;
	struct chan_front front;
	bool front_busy; // front_thread is inside a function of front
	pthread_t front_thread;
	pthread_cond_t front_idle;
	enum chan_out out;
	bool out_silent; // OUT_NONE by choice: nothing is counted as dropped
	int out_error; // see chan_out_error()
	bool kept; // chan_keep()
	int told_connected; // what front.peer() was last told, -1 if nothing yet
	uint64_t departures, told_departures; // times that a peer left
	struct chan_counters counters;

	// Guards peer, listener and hand, held over the reads and writes themselves, which do not
	// wait. Order: io, lock.
	pthread_mutex_t io;
	struct chan_peer peer;
	int listen_fd, listen_handle;
	uint8_t hand[CHAN_HAND]; // taken off the ring, on the way to the peer
	size_t hand_at, hand_len;

	int opens_fd, opens_handle; // chan_watch_opens(): an inotify descriptor, -1 for none
	char slave[CHAN_SLAVE];
	struct termios settings;

	// Input; the loop's thread only, apart from the atomics.
	uint8_t in[CHAN_IN];
	size_t in_at, in_len;
	bool escaped; // the last input byte was 0x01
	int64_t stalled_at; // CLOCK_MONOTONIC when `in` became full, 0 when it is not
	bool in_retry, accept_retry; // ask again at the next deferred work
	_Atomic bool escape; // chan_set_escape()
	_Atomic bool rx_paused; // the front-end took less than it was offered
	_Atomic bool rx_resumed; // ... and wants to be asked again
};

static inline int64_t chan_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// chan.c
// Arms the deferred-work timer `ns` from now, unless it is armed for sooner. Context: lock held.
void chan_defer(struct chan *c, uint64_t ns);
// The same without the lock held.
void chan_defer_unlocked(struct chan *c, uint64_t ns);
// Moves bytes from the ring to the empty hand, a mark for lost ones first. Context: io and lock
// held.
void chan_fill_hand(struct chan *c);
// Throws away what is buffered, counting it unless `silent`. Context: io and lock held.
void chan_discard(struct chan *c, bool silent);

// chan_watch.c; all with the lock held.

// Lets the watch see what has been put since it last looked. That happens once an interval, not
// with every byte; chan_put() sees to it that nothing is overwritten unseen.
void chan_watch_ring(struct chan *c);
// Looks for the panic text at the start of a line, behind nothing but a time stamp and a log level.
void chan_watch_bytes(struct chan *c, const uint8_t *buf, size_t len);
// Posts a panic line that found the loop's queue full.
void chan_post_panic(struct chan *c);

// chan_link.c, chan_opens.c
// Tells the front-end what has changed. The loop's thread only, no lock held.
void chan_link_tell(struct chan *c);
// Has a pseudo-terminal's slave lost its last user, or got one? left: one has left, though there
// may be another by now. False: there is no such peer. The loop's thread only, no lock held.
bool chan_opens_look(struct chan *c, bool left);
// Ends what chan_watch_opens() began.
void chan_opens_close(struct chan *c);

// chan_straight.c
// One read into the front-end's own memory, *ret_short: less came than there was room for. Bytes, 0
// at the end, -EAGAIN, -ENOBUFS (no room: input is paused now), -ENOSYS (the front-end has no
// such), or the peer's -errno. The loop's thread only, no lock held.
ssize_t chan_straight_read(struct chan *c, bool *ret_short);

// chan_in.c; the loop's thread only.
// The front-end takes no more. False: it asked for more meanwhile.
bool chan_in_pause(struct chan *c);
// Reads once. The number of bytes, 0 at the end, or -errno. Context: no lock held.
ssize_t chan_in_read(struct chan *c, const struct iovec *iov, int count);
// Marks the front-end as running on this thread and returns a copy of it; ends that.
struct chan_front chan_front_enter(struct chan *c);
void chan_front_leave(struct chan *c);
void chan_in_ready(void *opaque, uint32_t events); // a loop_fn
// What deferred work there is to do for input.
void chan_in_deferred(struct chan *c);

// chan_out.c
// One write that does not wait. Bytes written, or -errno. Context: io held.
ssize_t chan_out_push(struct chan *c, const struct iovec *iov, int count);
void chan_out_ready(void *opaque, uint32_t events); // a loop_fn
// Writes until the peer takes no more, nothing is left, or it is another's turn. 0, -EAGAIN or the
// peer's -errno, with which the caller goes to chan_peer_lost(). Context: no lock held.
int chan_out_flush(struct chan *c);
// Tells the front-end that there is room again, if it asked. The loop's thread only.
void chan_out_tell(struct chan *c);

// chan_peer.c
// The peer cannot be written to any more. It is heard on where its input is another descriptor, so
// that the escapes of a terminal work when the reader of a pipe has left. Context: no lock held.
void chan_peer_lost(struct chan *c, int err);
// The peer sends no more, but may still listen. Context: no lock held.
void chan_peer_in_ended(struct chan *c);
void chan_peer_deferred(struct chan *c);
// Detaches peer and listener, closing their descriptors.
void chan_peer_close(struct chan *c);

#endif
