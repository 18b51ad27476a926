// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <sys/epoll.h>

#include "xenbytes.h"
#include "xsring.h"

enum {
	// struct xenstore_domain_interface
	REQ = 0,
	RSP = 1024,
	REQ_CONS = 2048,
	REQ_PROD = 2052,
	RSP_CONS = 2056,
	RSP_PROD = 2060,
	FEATURES = 2064,
	CONNECTION = 2068,
	ERROR = 2072,
	PAGE = 4096,
	// Values there
	FEATURE_RECONNECTION = 1,
	FEATURE_ERROR = 2,
	CONNECTED = 0,
	RECONNECT = 1,
	ERROR_RINGIDX = 2,
	ERROR_PROTO = 3,
	LENGTH = 12, // of the payload: offset in the header
};

// All below: the lock is held.

static uint8_t *page_of(struct xsring *r)
{
	struct gmem_piece piece;

	if (r->handle < 0 || r->paused)
		return NULL;
	if (gmem_at(r->memory, &r->gmem_dev, r->page, PAGE, GMEM_WRITE, &piece, 1) != 1)
		return NULL;
	return piece.hva;
}

static uint32_t *word(uint8_t *page, uint32_t at)
{
	return (uint32_t *)(page + at);
}

// GUEST: it broke the protocol. The ring rests until the guest begins anew.
static void give_up(struct xsring *r, uint8_t *page, uint32_t error)
{
	r->broken = true;
	r->counters.broken++;
	__atomic_store_n(word(page, ERROR), error, __ATOMIC_RELEASE);
	xenbytes_tell(r->call);
}

static void forget(struct xsring *r)
{
	r->req_cons = r->rsp_prod = 0;
	r->in_len = r->out_at = r->out_len = 0;
	r->broken = false;
}

// GUEST: asks for a new beginning by a word that we set back when it has begun.
static void look_for_restart(struct xsring *r, uint8_t *page)
{
	if (__atomic_load_n(word(page, CONNECTION), __ATOMIC_ACQUIRE) != RECONNECT)
		return;
	forget(r);
	r->restarted = true;
	r->counters.restarts++;
	memset(page + REQ_CONS, 0, RSP_PROD + 4 - REQ_CONS);
	__atomic_store_n(word(page, ERROR), 0, __ATOMIC_RELAXED);
	__atomic_store_n(word(page, CONNECTION), CONNECTED, __ATOMIC_RELEASE);
	xenbytes_tell(r->call);
}

// How long the request is, as far as that is known; -EPROTO if longer than any.
static int wanted(const struct xsring *r)
{
	uint32_t payload;

	if (r->in_len < XSRING_HEADER)
		return XSRING_HEADER;
	// GUEST: of our copy.
	memcpy(&payload, r->in + LENGTH, sizeof(payload));
	return payload > XSRING_PAYLOAD ? -EPROTO : (int)(XSRING_HEADER + payload);
}

static bool complete(const struct xsring *r)
{
	return r->in_len >= XSRING_HEADER && wanted(r) == (int)r->in_len;
}

// Bytes of the request that have come. Whether there were some.
static bool pull(struct xsring *r, uint8_t *page)
{
	const struct xenbytes req = xenbytes_at(page, REQ, XSRING_SIZE, REQ_CONS, REQ_PROD);
	bool moved = false;

	while (!r->broken && !complete(r)) {
		int want = wanted(r), n = xenbytes_filled(&req, r->req_cons);
		if (want < 0 || n < 0) {
			give_up(r, page, want < 0 ? ERROR_PROTO : ERROR_RINGIDX);
			break;
		}
		if (!n)
			break;
		uint32_t missing = (uint32_t)want - r->in_len;
		uint32_t len = (uint32_t)n < missing ? (uint32_t)n : missing;
		xenbytes_copy_out(&req, r->req_cons, r->in + r->in_len, len);
		r->in_len += len;
		r->req_cons += len;
		xenbytes_show(req.cons, r->req_cons);
		moved = true;
	}
	return moved;
}

// Bytes of the answer for which there is room. Whether there were some.
static bool push(struct xsring *r, uint8_t *page)
{
	const struct xenbytes rsp = xenbytes_at(page, RSP, XSRING_SIZE, RSP_CONS, RSP_PROD);
	bool moved = false;

	while (!r->broken && r->out_at < r->out_len) {
		int room = xenbytes_room(&rsp, r->rsp_prod);
		if (room < 0) {
			give_up(r, page, ERROR_RINGIDX);
			break;
		}
		if (!room)
			break;
		uint32_t left = r->out_len - r->out_at;
		uint32_t len = (uint32_t)room < left ? (uint32_t)room : left;
		xenbytes_copy_in(&rsp, r->rsp_prod, r->out + r->out_at, len);
		r->out_at += len;
		r->rsp_prod += len;
		xenbytes_show(rsp.prod, r->rsp_prod);
		moved = true;
	}
	return moved;
}

static void move(struct xsring *r)
{
	uint8_t *page = page_of(r);

	if (!page)
		return;
	look_for_restart(r, page);
	bool sent = push(r, page), got = pull(r, page);
	if (sent || got)
		xenbytes_tell(r->call);
}

static void on_kick(void *opaque, uint32_t events)
{
	struct xsring *r = opaque;

	(void)events;
	LOCKED(&r->lock);
	if (r->handle < 0)
		return;
	xenbytes_drain(r->kick);
	r->counters.kicks++;
	move(r);
	if (r->out_at == r->out_len && !r->paused)
		loop_post_once(r->loop, XSRING_EVENT, 0, r);
}

// --- For those who answer

int xsring_take(struct xsring *r, uint8_t *ret)
{
	LOCKED(&r->lock);
	if (r->restarted) {
		r->restarted = false;
		return XSRING_RESTARTED;
	}
	move(r);
	if (r->handle < 0 || r->paused || r->broken || r->out_at < r->out_len)
		return XSRING_NONE;
	if (!complete(r))
		return XSRING_IDLE;
	int len = (int)r->in_len;
	memcpy(ret, r->in, r->in_len);
	r->in_len = 0;
	r->counters.requests++;
	return len;
}

int xsring_put(struct xsring *r, const uint8_t *message, uint32_t len)
{
	if (len > XSRING_MESSAGE)
		return -EMSGSIZE;
	LOCKED(&r->lock);
	if (r->handle < 0 || r->broken || r->restarted || r->out_at < r->out_len)
		return -EAGAIN;
	memcpy(r->out, message, len);
	r->out_at = 0;
	r->out_len = len;
	r->counters.sent++;
	move(r);
	return 0;
}

// --- Its life

struct xsring *xsring_create(struct gmem *memory, struct loop *loop)
{
	struct xsring *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	lock_init(&r->lock);
	r->memory = memory;
	r->loop = loop;
	r->handle = -1;
	return r;
}

void xsring_destroy(struct xsring *r)
{
	if (!r)
		return;
	xsring_disconnect(r);
	free(r);
}

int xsring_connect(struct xsring *r, uint64_t page, int kick, int call)
{
	const uint32_t features = FEATURE_RECONNECTION | FEATURE_ERROR;
	uint8_t *at;

	LOCKED(&r->lock);
	if (r->handle >= 0)
		return -EBUSY;
	r->page = page;
	r->kick = kick;
	r->call = call;
	r->restarted = false;
	forget(r);
	int handle = loop_add(r->loop, kick, EPOLLIN, on_kick, r);
	if (handle < 0)
		return handle;
	r->handle = handle;
	at = page_of(r);
	if (at)
		__atomic_store_n(word(at, FEATURES), features, __ATOMIC_RELEASE);
	return 0;
}

void xsring_disconnect(struct xsring *r)
{
	int handle;

	{
		LOCKED(&r->lock);
		handle = r->handle;
		r->handle = -1;
	}
	if (handle >= 0)
		loop_remove(r->loop, handle);
	loop_forget(r->loop, r);
}

void xsring_pause(struct xsring *r, bool paused)
{
	LOCKED(&r->lock);
	r->paused = paused;
	if (!paused && r->handle >= 0)
		xenbytes_tell(r->kick);
}

void xsring_counters(struct xsring *r, struct xsring_counters *ret)
{
	LOCKED(&r->lock);
	*ret = r->counters;
}
