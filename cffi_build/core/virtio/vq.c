// SPDX-License-Identifier: Apache-2.0
#include "vq_impl.h"

enum {
	// virtio 1.2, 2.7: alignment, and bytes of the rings beside their entries.
	ALIGN_DESC = 16,
	ALIGN_AVAIL = 2,
	ALIGN_USED = 4,
	RING_EXTRA = 6, // flags, idx and the event index at the end
};

int vq_fail(struct vq *q, int err)
{
	q->generation = GENERATION_BROKEN;
	q->broken = err;
	return err;
}

// The event indices, behind the entries of the other's ring (2.7.7.1, 2.7.10.1).
static __virtio16 *used_event(struct vq *q)
{
	return &q->avail->ring[q->mask + 1];
}

static __virtio16 *avail_event(struct vq *q)
{
	return (__virtio16 *)&q->used->ring[q->mask + 1];
}

static COLD int ring_at(struct vq *q, uint64_t gpa, uint64_t len, enum gmem_dir dir, void **ret)
{
	struct gmem_piece piece;
	int n = gmem_at(q->mem, q->dev, gpa, len, dir, &piece, 1);

	if (n == 1)
		*ret = piece.hva;
	return n < 0 ? (n == -E2BIG ? -EFAULT : n) : 0;
}

int vq_translate(struct vq *q)
{
	const struct vq_config *c = &q->config;
	uint64_t n = c->size;
	void *desc, *avail, *used;

	// Before the translations: a map that changes meanwhile leaves an old number behind.
	uint64_t generation = gmem_generation(q->mem);
	int err = ring_at(q, c->desc, n * sizeof(struct vring_desc), GMEM_READ, &desc);
	if (!err)
		err = ring_at(q, c->avail, n * sizeof(__virtio16) + RING_EXTRA, GMEM_READ, &avail);
	if (!err)
		err = ring_at(q, c->used, n * sizeof(vring_used_elem_t) + RING_EXTRA, GMEM_WRITE,
			      &used);
	if (err)
		return vq_fail(q, err);
	q->generation = generation;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	return 0;
}

int vq_start(struct vq *q, struct gmem *m, struct gmem_dev *dev, const struct vq_config *c)
{
	memset(q, 0, offsetof(struct vq, chains));
	memset(q->in_flight, 0, sizeof(q->in_flight));
	q->mem = m;
	q->dev = dev;
	q->config = *c;
	q->last_avail = q->avail_idx = c->last_avail;
	q->used_idx = q->flushed = c->used_idx;
	vq_fail(q, -ESHUTDOWN);
	// GUEST: size and addresses are what the driver wrote to the registers
	if (!c->size || c->size > VQ_MAX_SIZE || c->size & (c->size - 1))
		return -EINVAL;
	if (c->desc % ALIGN_DESC || c->avail % ALIGN_AVAIL || c->used % ALIGN_USED)
		return -EINVAL;
	if ((uint16_t)(c->last_avail - c->used_idx) > c->size)
		return -EINVAL;
	q->mask = c->size - 1u;
	q->broken = vq_translate(q);
	return q->broken;
}

void vq_stop(struct vq *q, struct vq_config *ret)
{
	if (ret) {
		*ret = q->config;
		ret->last_avail = q->last_avail;
		ret->used_idx = q->used_idx;
	}
	vq_fail(q, -ESHUTDOWN);
}

void vq_look_again(struct vq *q)
{
	q->avail_idx = q->last_avail;
}

int vq_rings(struct vq *q, struct vq_rings *ret)
{
	if (!vq_usable(q))
		return q->broken;
	*ret = (struct vq_rings){ q->desc, q->avail, q->used, q->mask + 1, q->last_avail };
	return 0;
}

void vq_seek(struct vq *q, uint16_t index)
{
	q->last_avail = q->avail_idx = q->used_idx = q->flushed = index;
}

void vq_push(struct vq *q, uint16_t head, uint32_t written)
{
	if (unlikely(!vq_usable(q)))
		return;
	vring_used_elem_t *e = &q->used->ring[q->used_idx & q->mask];
	e->id = head;
	e->len = written;
	q->used_idx++;
	q->in_flight[head] = false;
	count_own(&q->bytes, written);
}

bool vq_flush(struct vq *q)
{
	uint16_t old = q->flushed, new = q->used_idx;
	bool wanted;

	if (old == new || unlikely(!vq_usable(q)))
		return false;
	// Release, with the driver's read barrier after its load of the index: whoever sees the
	// index sees the elements and the data. And sequentially consistent together with our load
	// of what the driver wants, as its store of that and its load of the index are by its full
	// barrier: one of both sees the other.
	__atomic_store_n(&q->used->idx, new, __ATOMIC_SEQ_CST);
	q->flushed = new;
	if (q->config.event_idx) // GUEST: the used event index
		wanted = vring_need_event(__atomic_load_n(used_event(q), __ATOMIC_SEQ_CST), new,
					  old);
	else // GUEST: the flags
		wanted = !(__atomic_load_n(&q->avail->flags, __ATOMIC_SEQ_CST) &
			   VRING_AVAIL_F_NO_INTERRUPT);
	if (wanted)
		count_own(&q->interrupts, 1);
	return wanted;
}

bool vq_kicks_on(struct vq *q)
{
	if (!vq_usable(q))
		return false;
	// Sequentially consistent with the load of the index that follows, as the driver's store of
	// the index and load of this are by its full barrier: either it notifies or we see the
	// index.
	if (q->config.event_idx)
		__atomic_store_n(avail_event(q), q->last_avail, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&q->used->flags, 0, __ATOMIC_SEQ_CST);
	return q->last_avail != q->avail_idx || vq_look(q) > 0;
}

void vq_kicks_off(struct vq *q)
{
	// With event indices there is nothing to do: the driver notifies when it passes the index
	// that vq_kicks_on() set, which lies behind.
	if (!q->config.event_idx && vq_usable(q))
		__atomic_store_n(&q->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

void vq_counts(struct vq *q, struct vq_counts *ret)
{
	ret->chains = count_get(&q->chains);
	ret->bytes = count_get(&q->bytes);
	ret->interrupts = count_get(&q->interrupts);
}
