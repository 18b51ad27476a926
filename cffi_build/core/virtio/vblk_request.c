// SPDX-License-Identifier: Apache-2.0
// Requests of a virtio disk: from a chain to the back-end, and its answer (virtio 1.2, 5.2.6).
//
// A chain's pieces are cut as the driver likes (2.7.4.1): the header is the first 16 bytes of what
// the device reads, the status the last byte of what it writes, the data what remains.
#include "vblk.h"

#include "iov.h"
#include "vblk_impl.h"

// What a request is to be answered with if it needs no work, or PENDING.
enum { PENDING = 0x100 };

struct span {
	struct iovec *piece;
	uint32_t count;
	uint64_t len;
};

// --- Requests of a queue

static struct vblk_request *take_request(struct vblk *v, uint32_t queue)
{
	struct vblk_queue *q = &v->queue[queue];
	struct vblk_request *r = q->free;

	if (r)
		q->free = r->next;
	else
		r = &q->request[q->fresh++];
	return r;
}

static void give_request(struct vblk *v, uint32_t queue, struct vblk_request *r)
{
	r->next = v->queue[queue].free;
	v->queue[queue].free = r;
}

void vblk_finish(struct vblk_request *r, uint8_t status)
{
	struct vblk *v = r->v;
	struct vblk_queue *q = &v->queue[r->queue];

	*r->status = status;
	vq_push(&v->vdev.queue[r->queue].vq, r->head, r->in_len);
	q->used = true;
	q->in_flight--;
	v->in_flight--;
	v->in_cache -= r->in_cache;
	give_request(v, r->queue, r);
}

static bool is_within(const struct vblk *v, uint64_t sector, uint64_t count)
{
	return sector <= v->sectors && count <= v->sectors - sector;
}

static uint32_t reject(struct vblk *v)
{
	count_own(&v->rejected, 1);
	return VIRTIO_BLK_S_IOERR;
}

// Has the back-end do the next one of a request's segments; false: there is none.
static bool next_segment(struct vblk_request *r)
{
	while (r->segments_begun < r->segments) {
		const struct virtio_blk_discard_write_zeroes *s = &r->segment[r->segments_begun++];
		if (!s->num_sectors)
			continue;
		r->blk.flags = (uint8_t)((r->blk.flags & ~BLK_UNMAP) | (s->flags ? BLK_UNMAP : 0));
		r->blk.offset = s->sector * BLK_SECTOR;
		r->blk.len = (uint64_t)s->num_sectors * BLK_SECTOR;
		return true;
	}
	return false;
}

static void on_done(struct blk_request *blk, int err)
{
	struct vblk_request *r = container_of(blk, struct vblk_request, blk);

	if (!err && unlikely(next_segment(r))) {
		// The disk may have become smaller since the segments were found good.
		if (is_within(r->v, blk->offset / BLK_SECTOR, blk->len / BLK_SECTOR))
			blk_submit(r->v->blk, blk);
		else
			vblk_finish(r, (uint8_t)reject(r->v));
	} else if (likely(!err)) {
		vblk_finish(r, VIRTIO_BLK_S_OK);
	} else if (err == -EOPNOTSUPP) {
		count_own(&r->v->unsupported, 1);
		vblk_finish(r, VIRTIO_BLK_S_UNSUPP);
	} else {
		count_own(&r->v->failed, 1);
		loop_post_once(r->v->vdev.loop, VBLK_EVENT_ERROR, (uint64_t)-err, &r->v->vdev);
		vblk_finish(r, VIRTIO_BLK_S_IOERR);
	}
}

// --- What the driver asks for

static uint32_t unsupported(struct vblk *v)
{
	count_own(&v->unsupported, 1);
	return VIRTIO_BLK_S_UNSUPP;
}

// The driver may have declined the cache, or never learnt to flush it (5.2.6.2).
static uint8_t write_flags(struct vblk *v)
{
	bool cache = virtio_has(&v->vdev, VIRTIO_BLK_F_FLUSH) &&
		     atomic_load_explicit(&v->writeback, memory_order_relaxed);

	return cache ? 0 : BLK_STABLE;
}

static uint32_t transfer(struct vblk *v, struct vblk_request *r, enum blk_op op, uint64_t sector,
			 const struct span *data)
{
	if (data->len % BLK_SECTOR || !is_within(v, sector, data->len / BLK_SECTOR) ||
	    (op == BLK_WRITE && v->read_only))
		return reject(v);
	if (!data->len)
		return VIRTIO_BLK_S_OK;
	r->blk.op = (uint8_t)op;
	r->blk.flags = op == BLK_WRITE ? write_flags(v) : 0;
	r->blk.offset = sector * BLK_SECTOR;
	r->blk.len = data->len;
	r->blk.iov = data->piece;
	r->blk.iov_count = data->count;
	return PENDING;
}

// VIRTIO_BLK_S_OK, or why the whole request is refused.
static uint32_t judge(struct vblk *v, enum blk_op op,
		      const struct virtio_blk_discard_write_zeroes *segment)
{
	if (segment->flags & ~(op == BLK_ZERO ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return unsupported(v);
	if (!is_within(v, segment->sector, segment->num_sectors) ||
	    segment->num_sectors > VBLK_MAX_DISCARD_SECTORS)
		return reject(v);
	return VIRTIO_BLK_S_OK;
}

// Discard and write zeroes: nothing is done before all segments were found good.
static uint32_t clear(struct vblk *v, struct vblk_request *r, enum blk_op op,
		      const struct span *data)
{
	uint64_t count = data->len / sizeof(r->segment[0]);
	uint32_t status = VIRTIO_BLK_S_OK;

	if (!virtio_has(&v->vdev,
			op == BLK_ZERO ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD))
		return unsupported(v);
	if (!count || count > VBLK_SEGMENTS || data->len % sizeof(r->segment[0]) || v->read_only)
		return reject(v);
	iov_to_buf(data->piece, data->count, 0, r->segment, data->len); // GUEST: the copy
	for (uint32_t i = 0; i < count && status == VIRTIO_BLK_S_OK; i++)
		status = judge(v, op, &r->segment[i]);
	if (status != VIRTIO_BLK_S_OK)
		return status;
	r->blk.op = (uint8_t)op;
	r->blk.flags = write_flags(v);
	r->segments = (uint32_t)count;
	return next_segment(r) ? PENDING : VIRTIO_BLK_S_OK;
}

static uint32_t get_id(struct vblk *v, const struct span *data)
{
	iov_from_buf(data->piece, data->count, 0, v->serial, sizeof(v->serial));
	return VIRTIO_BLK_S_OK;
}

static uint32_t flush(struct vblk_request *r)
{
	r->blk.op = BLK_FLUSH;
	r->blk.flags = 0;
	r->blk.offset = r->blk.len = 0;
	return PENDING;
}

// GUEST: type and sector are the driver's.
static uint32_t begin(struct vblk *v, struct vblk_request *r,
		      const struct virtio_blk_outhdr *header, const struct span *out,
		      const struct span *in)
{
	switch (header->type) {
	case VIRTIO_BLK_T_IN:
		return transfer(v, r, BLK_READ, header->sector, in);
	case VIRTIO_BLK_T_OUT:
		return transfer(v, r, BLK_WRITE, header->sector, out);
	case VIRTIO_BLK_T_FLUSH:
		return flush(r);
	case VIRTIO_BLK_T_DISCARD:
		return clear(v, r, BLK_DISCARD, out);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return clear(v, r, BLK_ZERO, out);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(v, in);
	default:
		return unsupported(v);
	}
}

// --- Chains

// Cuts the first `bytes` off; there are as many.
static void cut_front(struct span *s, size_t bytes)
{
	s->len -= bytes;
	while (bytes && bytes >= s->piece->iov_len) {
		bytes -= s->piece->iov_len;
		s->piece++;
		s->count--;
	}
	if (bytes) {
		s->piece->iov_base = (uint8_t *)s->piece->iov_base + bytes;
		s->piece->iov_len -= bytes;
	}
}

// Cuts the last byte off, which is there: where it lies.
static uint8_t *cut_last(struct span *s)
{
	struct iovec *last = &s->piece[s->count - 1];

	s->len--;
	last->iov_len--;
	uint8_t *at = (uint8_t *)last->iov_base + last->iov_len;
	if (!last->iov_len)
		s->count--;
	return at;
}

static void serve(struct vblk *v, struct vblk_request *r, const struct vq_chain *chain)
{
	struct span out = { r->piece, chain->out_count, chain->out_len };
	struct span in = { r->piece + chain->out_count, chain->in_count, chain->in_len };
	struct virtio_blk_outhdr header;

	iov_to_buf(out.piece, out.count, 0, &header, sizeof(header)); // GUEST: the copy counts
	cut_front(&out, sizeof(header));
	r->status = cut_last(&in);
	r->in_len = (uint32_t)chain->in_len;
	r->in_cache = false;
	r->segments = r->segments_begun = 0;
	uint32_t status = begin(v, r, &header, &out, &in);
	if (status != PENDING) {
		vblk_finish(r, (uint8_t)status);
		return;
	}
	r->in_cache =
		r->blk.op != BLK_READ && r->blk.op != BLK_FLUSH && !(r->blk.flags & BLK_STABLE);
	v->in_cache += r->in_cache;
	blk_submit(v->blk, &r->blk);
}

// 1: took a request; 0: nothing more to take.
static int take_one(struct vblk *v, uint32_t queue)
{
	struct vblk_queue *q = &v->queue[queue];
	struct vblk_request *r = take_request(v, queue);
	struct vq_chain chain = { .piece = r->piece, .cap = ARRAY_LEN(r->piece) };
	int got = vq_pop(&v->vdev.queue[queue].vq, &chain);

	if (got > 0 && likely(chain.out_len >= sizeof(struct virtio_blk_outhdr) && chain.in_len)) {
		r->v = v;
		r->queue = (uint16_t)queue;
		r->head = chain.head;
		r->blk.done = on_done;
		q->in_flight++;
		v->in_flight++;
		serve(v, r, &chain);
		return 1;
	}
	give_request(v, queue, r);
	if (got) // nowhere to say how it ended, or nothing to do: no driver does that
		virtio_needs_reset(&v->vdev, got < 0 ? VIRTIO_FAULT_RING : VIRTIO_FAULT_REQUEST);
	return 0;
}

void vblk_take(struct vblk *v, uint32_t queue)
{
	uint32_t size = v->vdev.queue[queue].vq.mask + 1;

	// Each request under way has an entry of the ring: with all of them under way there is no
	// chain to take, and else there is a free request.
	while (v->queue[queue].in_flight < size && take_one(v, queue))
		;
}
