// SPDX-License-Identifier: Apache-2.0
// The guest's side of a channel: the ring, its overflow policy, the tail and the panic watch.
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "chan_impl.h"

// The deferred work: whatever asked for it, all of it is looked at.
static void on_timer(void *opaque, uint32_t events)
{
	struct chan *c = opaque;
	uint64_t expirations;

	(void)events;
	pthread_mutex_lock(&c->lock);
	ssize_t n = read(c->timer_fd, &expirations, sizeof(expirations));
	if (n < 0) { // armed anew since the loop looked
		pthread_mutex_unlock(&c->lock);
		return;
	}
	c->timer_ns = 0;
	c->counters.wakeups++;
	// Output goes on if it came within an interval of the last time: fewer, larger writes then.
	int64_t now = chan_now_ns();
	bool goes_on = now - c->flushed_at < 2 * (int64_t)c->flush_ns;
	c->flush_ns = goes_on ? c->flush_ns * 2 : CHAN_FLUSH_NS;
	if (c->flush_ns > CHAN_FLUSH_MAX_NS)
		c->flush_ns = CHAN_FLUSH_MAX_NS;
	c->flushed_at = now;
	chan_watch_ring(c);
	if (c->panic_due)
		chan_post_panic(c);
	bool full = c->out == OUT_FULL; // EPOLLOUT tells when to go on
	pthread_mutex_unlock(&c->lock);

	int err = full ? 0 : chan_out_flush(c);
	if (err && err != -EAGAIN)
		chan_peer_lost(c, -err);
	chan_link_tell(c);
	chan_out_tell(c);
	chan_peer_deferred(c);
	chan_in_deferred(c);
}

struct chan *chan_create(struct loop *l, uint64_t limit, enum chan_overflow overflow)
{
	if (limit < CHAN_LIMIT_MIN || limit > CHAN_LIMIT_MAX) {
		errno = EINVAL;
		return NULL;
	}
	struct chan *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->loop = l;
	c->limit = limit;
	c->overflow = overflow;
	c->flush_ns = CHAN_FLUSH_NS;
	c->told_connected = -1;
	c->size = CHAN_RING_MIN;
	c->ring = malloc(c->size);
	c->peer =
		(struct chan_peer){ .in_fd = -1, .out_fd = -1, .in_handle = -1, .out_handle = -1 };
	c->listen_fd = c->listen_handle = c->opens_fd = c->opens_handle = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->io, NULL);
	pthread_cond_init(&c->front_idle, NULL);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	c->timer_handle = c->timer_fd < 0 ? -errno : loop_add(l, c->timer_fd, EPOLLIN, on_timer, c);
	if (c->timer_handle < 0 || !c->ring) {
		int err = c->ring ? -c->timer_handle : ENOMEM;
		chan_destroy(c);
		errno = err;
		return NULL;
	}
	return c;
}

void chan_destroy(struct chan *c)
{
	if (!c)
		return;
	if (c->timer_handle >= 0)
		loop_remove(c->loop, c->timer_handle);
	if (c->ring)
		chan_flush(c, 0);
	chan_peer_close(c);
	chan_opens_close(c);
	// A handler that lost its peer has removed its own sources and may still be on its way out.
	loop_barrier(c->loop);
	loop_forget(c->loop, c);
	if (c->timer_fd >= 0)
		close(c->timer_fd);
	pthread_cond_destroy(&c->front_idle);
	pthread_mutex_destroy(&c->io);
	pthread_mutex_destroy(&c->lock);
	free(c->ring);
	free(c);
}

void chan_defer(struct chan *c, uint64_t ns)
{
	if (c->timer_ns && c->timer_ns <= ns)
		return;
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(ns / 1000000000),
						 .tv_nsec = (long)(ns % 1000000000) } };
	timerfd_settime(c->timer_fd, 0, &when, NULL);
	c->timer_ns = ns;
}

void chan_defer_unlocked(struct chan *c, uint64_t ns)
{
	LOCKED(&c->lock);
	chan_defer(c, ns);
}

// Gives the ring `size` bytes, a power of two not below CHAN_RING_MIN and what is buffered. The
// newest bytes move along, flushed or not. False: no memory. Context: lock held.
static bool resize(struct chan *c, uint64_t size)
{
	uint8_t *ring = malloc(size);
	uint64_t keep = size < c->size ? size : c->size;

	if (!ring)
		return false;
	for (uint64_t at = c->put_at > keep ? c->put_at - keep : 0; at < c->put_at;) {
		uint64_t n = c->put_at - at;
		uint64_t old_room = c->size - at % c->size, new_room = size - at % size;
		if (n > old_room)
			n = old_room;
		if (n > new_room)
			n = new_room;
		memcpy(ring + at % size, c->ring + at % c->size, n);
		at += n;
	}
	free(c->ring);
	c->ring = ring;
	c->size = size;
	return true;
}

// Makes the ring able to hold `need` bytes, or lowers the limit to what it can hold. Context: lock
// held.
static void make_room(struct chan *c, uint64_t need)
{
	uint64_t size = c->size;

	if (need > c->limit)
		need = c->limit;
	while (size < need)
		size *= 2;
	if (size != c->size && !resize(c, size))
		c->limit = c->size < c->limit ? c->size : c->limit;
}

// Appends; of more than the ring holds, the last bytes. Context: lock held.
static void ring_write(struct chan *c, const uint8_t *buf, uint64_t len)
{
	if (len > c->size) {
		c->put_at += len - c->size;
		buf += len - c->size;
		len = c->size;
	}
	uint64_t at = c->put_at & (c->size - 1), room = c->size - at;
	memcpy(c->ring + at, buf, len < room ? len : room);
	if (unlikely(len > room))
		memcpy(c->ring, buf + room, len - room);
	c->put_at += len;
}

// What does not fit, and what nobody will ever read. Returns how many bytes may be put. Context:
// lock held.
static size_t put_rarely(struct chan *c, const uint8_t *buf, size_t len)
{
	uint64_t used = c->put_at - c->get_at;

	make_room(c, used + len);
	if (c->out != OUT_NONE && used + len > c->limit && c->overflow == CHAN_BLOCK) {
		len = used < c->limit ? (size_t)(c->limit - used) : 0;
		c->refused = true;
	}
	if (c->panic_watch && c->put_at - c->watched_at + len > CHAN_TAIL) {
		chan_watch_ring(c);
		chan_watch_bytes(c, buf, len);
		c->watched_at += len;
	}
	ring_write(c, buf, len);
	if (!c->panic_watch)
		c->watched_at = c->put_at;
	used = c->put_at - c->get_at;
	if (c->out == OUT_NONE) {
		c->get_at = c->put_at;
		if (!c->out_silent)
			c->counters.dropped_bytes += len;
	} else if (used > c->limit) {
		c->get_at += used - c->limit;
		c->lost += used - c->limit;
		c->counters.dropped_bytes += used - c->limit;
	}
	return len;
}

size_t chan_put(struct chan *c, const uint8_t *buf, size_t len)
{
	LOCKED(&c->lock);
	uint64_t used = c->put_at - c->get_at + len;

	if (likely(used <= c->size && used <= c->limit && c->out != OUT_NONE &&
		   c->put_at - c->watched_at + len <= CHAN_TAIL))
		ring_write(c, buf, len);
	else
		len = put_rarely(c, buf, len);
	c->counters.out_bytes += len;
	if (c->out == OUT_READY || c->panic_watch)
		chan_defer(c,
			   c->out == OUT_READY && used > c->limit / 2 ? CHAN_NOW_NS : c->flush_ns);
	return len;
}

bool chan_can_put(struct chan *c)
{
	LOCKED(&c->lock);
	if (c->overflow == CHAN_DROP || c->out == OUT_NONE || c->put_at - c->get_at < c->limit)
		return true;
	c->refused = true;
	return false;
}

void chan_fill_hand(struct chan *c)
{
	c->hand_at = c->hand_len = 0;
	if (c->lost) {
		c->hand_len = (size_t)snprintf((char *)c->hand, CHAN_HAND,
					       "\r\n[vmm: %llu bytes lost]\r\n",
					       (unsigned long long)c->lost);
		c->lost = 0;
	}
	while (c->hand_len < CHAN_HAND && c->get_at < c->put_at) {
		uint64_t at = c->get_at & (c->size - 1);
		uint64_t n = c->put_at - c->get_at;
		if (n > CHAN_HAND - c->hand_len)
			n = CHAN_HAND - c->hand_len;
		if (n > c->size - at)
			n = c->size - at;
		memcpy(c->hand + c->hand_len, c->ring + at, n);
		c->hand_len += n;
		c->get_at += n;
	}
	if (c->get_at == c->put_at && c->size > CHAN_RING_KEEP)
		resize(c, CHAN_RING_MIN); // without memory it stays as it is
}

void chan_discard(struct chan *c, bool silent)
{
	if (!silent)
		c->counters.dropped_bytes += c->hand_len - c->hand_at + c->put_at - c->get_at;
	c->hand_at = c->hand_len = 0;
	c->get_at = c->put_at;
	c->lost = 0;
}

void chan_set_escape(struct chan *c, bool on)
{
	atomic_store(&c->escape, on);
}

size_t chan_tail(struct chan *c, uint8_t *ret, size_t len)
{
	LOCKED(&c->lock);
	if (len > CHAN_TAIL)
		len = CHAN_TAIL;
	if (len > c->put_at)
		len = (size_t)c->put_at;
	for (size_t i = 0; i < len; i++)
		ret[i] = c->ring[(c->put_at - len + i) & (c->size - 1)];
	return len;
}

void chan_counters(struct chan *c, struct chan_counters *ret)
{
	LOCKED(&c->lock);
	*ret = c->counters;
	ret->buffered = c->put_at - c->get_at;
}
