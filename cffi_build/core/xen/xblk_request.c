// SPDX-License-Identifier: Apache-2.0
// Requests of a Xen disk: from the ring to the back-end, and its answer.
#include "xblk_impl.h"
#include "xenbytes.h"

enum {
	BLKIF_OP_READ = 0,
	BLKIF_OP_WRITE = 1,
	BLKIF_OP_FLUSH_DISKCACHE = 3,
	BLKIF_OP_DISCARD = 5,
	BLKIF_OP_INDIRECT = 6,
	BLKIF_RSP_OKAY = 0,
	BLKIF_RSP_ERROR = -1,
	BLKIF_RSP_EOPNOTSUPP = -2,
	PENDING = 1, // no answer yet
	SECTORS_OF_PAGE = GNTTAB_PAGE / BLK_SECTOR,
};

// struct blkif_request_segment
struct segment {
	uint32_t gref;
	uint8_t first, last; // sectors of the page
	uint16_t pad;
};

// struct blkif_request, blkif_request_indirect and blkif_request_discard, as x86-64 lays them out;
// on 32-bit x86 there is no `pad`, and all behind it is where it would be.
struct wire {
	uint8_t op;
	uint8_t count; // of segments; indirect: the operation; discard: flags
	uint16_t indirect_count;
	uint32_t pad;
	uint64_t id;
	uint64_t sector;
	union {
		struct segment segment[XBLK_SEGMENTS];
		uint64_t sectors; // discard
		struct {
			uint16_t handle, pad;
			uint32_t gref[8];
		} indirect;
	};
};

struct answer {
	uint64_t id;
	uint8_t op, pad;
	int16_t status;
	uint32_t end;
};

_Static_assert(sizeof(struct wire) == XBLK_ENTRY, "blkif_request");
_Static_assert(offsetof(struct answer, end) == 12, "blkif_response");

// --- Answers

static void unmap(struct xblk_request *r)
{
	while (r->count) {
		const struct xblk_ref *ref = &r->ref[--r->count];
		gnttab_unmap(r->q->x->grants, ref->ref, ref->write);
	}
}

static void finish(struct xblk_request *r, int status)
{
	struct xblk_queue *q = r->q;
	struct answer a = { .id = r->id, .op = r->op, .status = (int16_t)status };

	unmap(r);
	r->next = q->free;
	q->free = r;
	uint32_t left = atomic_fetch_sub(&q->in_flight, 1) - 1;
	if (q->handle >= 0)
		xring_put(&q->ring, &a, offsetof(struct answer, end));
	else if (!left) // disconnected meanwhile
		loop_post_once(q->x->loop, XBLK_IDLE, 0, q->x);
}

static void on_done(struct blk_request *blk, int err)
{
	struct xblk_request *r = container_of(blk, struct xblk_request, blk);
	struct xblk *x = r->q->x;

	if (!err) {
		finish(r, BLKIF_RSP_OKAY);
	} else if (err == -EOPNOTSUPP) {
		x->counters.unsupported++;
		finish(r, BLKIF_RSP_EOPNOTSUPP);
	} else {
		x->counters.failed++;
		loop_post_once(x->loop, XBLK_EVENT, (uint64_t)-err, x);
		finish(r, BLKIF_RSP_ERROR);
	}
}

static int reject(struct xblk *x)
{
	x->counters.rejected++;
	return BLKIF_RSP_ERROR;
}

// --- What the guest asks for

static bool is_within(const struct xblk *x, uint64_t sector, uint64_t count)
{
	return sector <= x->sectors && count <= x->sectors - sector;
}

// Maps a segment's page behind those that there are. GUEST: the segment is a copy.
static int add_segment(struct xblk_request *r, const struct segment *s, bool write)
{
	void *page;

	if (s->first > s->last || s->last >= SECTORS_OF_PAGE)
		return -EINVAL;
	int err = gnttab_map(r->q->x->grants, s->gref, write, &page);
	if (err)
		return err;
	const uint64_t len = (uint64_t)(s->last - s->first + 1) * BLK_SECTOR;
	r->ref[r->count] = (struct xblk_ref){ s->gref, write };
	r->iov[r->count] = (struct iovec){ (uint8_t *)page + (size_t)s->first * BLK_SECTOR, len };
	r->count++;
	r->blk.len += len;
	return 0;
}

// Reads or writes the pages that are in the request now.
static int transfer(struct xblk_request *r, bool write, uint64_t sector)
{
	struct xblk *x = r->q->x;

	if (!is_within(x, sector, r->blk.len / BLK_SECTOR) || (write && x->read_only))
		return reject(x);
	x->counters.segments += r->count;
	r->blk.op = write ? BLK_WRITE : BLK_READ;
	r->blk.offset = sector * BLK_SECTOR;
	r->blk.iov = r->iov;
	r->blk.iov_count = r->count;
	return PENDING;
}

static int direct(struct xblk_request *r, const struct wire *w)
{
	bool write = w->op == BLKIF_OP_WRITE;

	if (!w->count || w->count > XBLK_SEGMENTS)
		return reject(r->q->x);
	for (uint32_t i = 0; i < w->count; i++) {
		if (add_segment(r, &w->segment[i], !write))
			return reject(r->q->x);
	}
	return transfer(r, write, w->sector);
}

static int indirect(struct xblk_request *r, const struct wire *w)
{
	bool write = w->count == BLKIF_OP_WRITE;
	uint32_t count = w->indirect_count;
	struct xblk *x = r->q->x;
	void *page;

	x->counters.indirect++;
	r->op = w->count; // what the answer is to name, a refusal as well
	if (w->count > BLKIF_OP_WRITE || !count || count > XBLK_INDIRECT)
		return reject(x);
	// XBLK_INDIRECT segments fit into the first page.
	if (gnttab_map(x->grants, w->indirect.gref[0], false, &page))
		return reject(x);
	int err = 0;
	for (uint32_t i = 0; i < count && !err; i++) {
		struct segment s;
		memcpy(&s, (uint8_t *)page + i * sizeof(s), sizeof(s)); // GUEST: the copy counts
		err = add_segment(r, &s, !write);
	}
	gnttab_unmap(x->grants, w->indirect.gref[0], false);
	return err ? reject(x) : transfer(r, write, w->sector);
}

static int discard(struct xblk_request *r, const struct wire *w)
{
	struct xblk *x = r->q->x;

	if (w->count) { // so that nobody can read it again: no file system promises that
		x->counters.unsupported++;
		return BLKIF_RSP_EOPNOTSUPP;
	}
	if (!is_within(x, w->sector, w->sectors) || x->read_only)
		return reject(x);
	if (!w->sectors)
		return BLKIF_RSP_OKAY;
	r->blk.op = BLK_DISCARD;
	r->blk.offset = w->sector * BLK_SECTOR;
	r->blk.len = w->sectors * BLK_SECTOR;
	return PENDING;
}

static int flush(struct xblk_request *r, const struct wire *w)
{
	if (w->count)
		return reject(r->q->x);
	r->blk.op = BLK_FLUSH;
	return PENDING;
}

static int begin(struct xblk_request *r, const struct wire *w)
{
	switch (w->op) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
		return direct(r, w);
	case BLKIF_OP_INDIRECT:
		return indirect(r, w);
	case BLKIF_OP_FLUSH_DISKCACHE:
		return flush(r, w);
	case BLKIF_OP_DISCARD:
		return discard(r, w);
	default:
		r->q->x->counters.unsupported++;
		return BLKIF_RSP_EOPNOTSUPP;
	}
}

static void read_entry(struct xblk_queue *q, struct wire *ret)
{
	const uint32_t index = q->ring.req_cons++;

	*ret = (struct wire){ 0 };
	if (!q->narrow) {
		xring_get(&q->ring, index, ret, sizeof(*ret));
		return;
	}
	uint8_t *bytes = (uint8_t *)ret;
	const size_t head = offsetof(struct wire, pad);
	xring_get(&q->ring, index, bytes + head, XBLK_ENTRY32);
	memcpy(bytes, bytes + head, head);
}

static void take_one(struct xblk_queue *q)
{
	struct xblk_request *r = q->free;
	struct wire w;

	read_entry(q, &w);
	q->free = r->next;
	atomic_fetch_add(&q->in_flight, 1);
	q->x->counters.requests++;
	r->id = w.id;
	r->op = w.op;
	r->count = 0;
	r->blk = (struct blk_request){ .done = on_done };
	int status = begin(r, &w);
	if (status == PENDING)
		blk_submit(q->x->blk, &r->blk);
	else
		finish(r, status);
}

// How many requests there are, 0 for a ring that is broken.
static uint32_t waiting(struct xblk_queue *q)
{
	struct xblk *x = q->x;
	int n = xring_waiting(&q->ring);

	if (n >= 0)
		return (uint32_t)n;
	x->broken = true;
	x->counters.broken++;
	loop_post_once(x->loop, XBLK_EVENT, 0, x);
	return 0;
}

void xblk_take(struct xblk_queue *q)
{
	// Once round at most: what it answers at once it could be asked for ever.
	for (uint32_t left = q->ring.size; left;) {
		uint32_t n = waiting(q);
		if (!n) {
			if (q->x->broken)
				return;
			// Tell us of the next one; was there one already?
			xring_listen(&q->ring, 1);
			if (!waiting(q))
				return;
			continue;
		}
		for (n = n < left ? n : left; n && q->free; n--, left--)
			take_one(q);
		if (!q->free)
			return; // impossible: see xring_waiting()
	}
	xenbytes_tell(q->kick);
}
