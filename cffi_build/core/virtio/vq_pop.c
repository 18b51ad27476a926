// SPDX-License-Identifier: Apache-2.0
// The available ring and the descriptors behind it.
#include "vq_impl.h"

#define MAX_CHAIN_BYTES (1ull << 32)

// Bytes of the driver's, at any address; one load each, whatever the compiler would like.
typedef volatile uint64_t __attribute__((aligned(1), may_alias)) guest64;

int vq_look(struct vq *q)
{
	// GUEST: the available index. Acquire, with the driver's write barrier before its store:
	// entries and descriptors up to it are read after it. Sequentially consistent for
	// vq_kicks_on(), which costs no more.
	uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_SEQ_CST);
	uint16_t fresh = (uint16_t)(idx - q->last_avail);
	// Chains that the device still has count too, so that a driver cannot pile them up.
	uint16_t open = (uint16_t)(idx - q->used_idx);

	if (open > q->mask + 1 || fresh > open)
		return vq_fail(q, -ERANGE);
	q->avail_idx = idx;
	return fresh;
}

bool vq_empty(struct vq *q)
{
	return !vq_usable(q) || (q->last_avail == q->avail_idx && vq_look(q) <= 0);
}

// GUEST: one load for each half of the descriptor.
HOT struct vring_desc read_desc(const struct vring_desc *at)
{
	const guest64 *half = (const guest64 *)at;
	uint64_t copy[2] = { half[0], half[1] };
	struct vring_desc ret;

	memcpy(&ret, copy, sizeof(ret));
	return ret;
}

// The table that an indirect descriptor names: how many descriptors it has, or -errno.
static int indirect_table(struct vq *q, const struct vring_desc *d, const struct vring_desc **ret)
{
	uint32_t count = (uint32_t)(d->len / sizeof(**ret));
	struct gmem_piece piece;

	if (!q->config.indirect || d->flags & VRING_DESC_F_NEXT)
		return -EPROTO;
	if (!count || count > VQ_MAX_SIZE || d->len % sizeof(**ret))
		return -EINVAL;
	int n = gmem_at(q->mem, q->dev, d->addr, d->len, GMEM_READ, &piece, 1);
	if (n < 0)
		return n == -E2BIG ? -EFAULT : n;
	*ret = piece.hva;
	return (int)count;
}

_Static_assert(sizeof(struct gmem_piece) == sizeof(struct iovec) &&
		       offsetof(struct gmem_piece, hva) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct gmem_piece, len) == offsetof(struct iovec, iov_len),
	       "pieces of memory are filled in where the caller wants iovecs");

// A chain of one direct descriptor, and one piece: most are. False: more is to be done.
HOT bool one_piece(struct vq *q, struct vq_chain *c, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	struct gmem_piece *to = (struct gmem_piece *)c->piece;

	if (d->flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT) || unlikely(!c->cap) ||
	    unlikely(!(in ? gmem_at_once(q->mem, q->dev, d->addr, d->len, GMEM_WRITE, to)
			  : gmem_at_once(q->mem, q->dev, d->addr, d->len, GMEM_READ, to))))
		return false;
	c->out_count = !in;
	c->in_count = in;
	c->out_len = in ? 0 : d->len;
	c->in_len = in ? d->len : 0;
	return true;
}

// Any chain, from its first descriptor on. 0 or the -errno of vq_pop().
static __attribute__((noinline)) int add_chain(struct vq *q, struct vq_chain *c,
					       struct vring_desc d)
{
	const struct vring_desc *table = q->desc;
	uint32_t count = q->mask + 1, left = count, pieces = 0;
	enum gmem_dir dir = GMEM_READ;
	bool nested = false;
	uint64_t bytes = 0;

	for (;;) {
		if (d.flags & VRING_DESC_F_INDIRECT) {
			int n = nested ? -EPROTO : indirect_table(q, &d, &table);
			if (n < 0)
				return n;
			nested = true;
			count = left = (uint32_t)n;
			d = read_desc(&table[0]);
			continue;
		}
		if (d.flags & VRING_DESC_F_WRITE && dir == GMEM_READ) {
			dir = GMEM_WRITE;
			c->out_count = pieces;
			c->out_len = bytes;
		} else if (!(d.flags & VRING_DESC_F_WRITE) && dir == GMEM_WRITE) {
			return -EPROTO;
		}
		int n = gmem_at(q->mem, q->dev, d.addr, d.len, dir,
				(struct gmem_piece *)&c->piece[pieces], c->cap - pieces);
		if (n < 0)
			return n;
		pieces += (uint32_t)n;
		bytes += d.len;
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
		if (d.next >= count)
			return -ENXIO;
		if (!--left)
			return -ELOOP;
		d = read_desc(&table[d.next]);
	}
	if (dir == GMEM_READ) {
		c->out_count = pieces;
		c->out_len = bytes;
	}
	c->in_count = pieces - c->out_count;
	c->in_len = bytes - c->out_len;
	return bytes > MAX_CHAIN_BYTES ? -EOVERFLOW : 0;
}

int vq_pop(struct vq *q, struct vq_chain *ret)
{
	if (unlikely(!vq_usable(q)))
		return q->broken;
	if (q->last_avail == q->avail_idx) {
		int n = vq_look(q);
		if (n <= 0)
			return n;
	}
	// GUEST: the chain's head
	uint16_t head = __atomic_load_n(&q->avail->ring[q->last_avail & q->mask], __ATOMIC_RELAXED);
	if (unlikely(head > q->mask))
		return vq_fail(q, -ENXIO);
	if (unlikely(q->in_flight[head]))
		return vq_fail(q, -EEXIST);
	struct vring_desc d = read_desc(&q->desc[head]);
	if (!one_piece(q, ret, &d)) {
		int err = add_chain(q, ret, d);
		if (unlikely(err))
			return vq_fail(q, err);
	}
	q->in_flight[head] = true;
	q->last_avail++;
	q->popped_bytes = ret->out_len;
	q->popped_head = ret->head = head;
	count_own(&q->chains, 1);
	count_own(&q->bytes, ret->out_len);
	return 1;
}

void vq_unpop_chain(struct vq *q, uint16_t head, uint64_t out_len)
{
	q->in_flight[head] = false;
	q->last_avail--;
	count_own(&q->chains, -1ull);
	count_own(&q->bytes, -out_len);
}

void vq_unpop(struct vq *q)
{
	vq_unpop_chain(q, q->popped_head, q->popped_bytes);
}
