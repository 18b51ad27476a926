// SPDX-License-Identifier: Apache-2.0
#include "vq.h"

#include <linux/virtio_ring.h>

enum {
	// virtio 1.2, 2.7: alignment and bytes beside the entries.
	ALIGN_DESC = 16,
	ALIGN_AVAIL = 2,
	ALIGN_USED = 4,
	RING_EXTRA = 6, // flags, idx and the event index at the end
};

#define MAX_CHAIN_BYTES (1ull << 32)

// Bytes of the driver's anywhere in memory; one load each, whatever the compiler would like.
typedef volatile uint64_t __attribute__((aligned(1), may_alias)) guest64;

struct walk {
	struct vq *q;
	struct vq_chain *ret;
	const struct vring_desc *table;
	uint32_t entries; // of the table
	uint32_t left; // descriptors that the chain may still have
	bool nested; // in an indirect table
	bool in; // a device-writable descriptor was there
};

// The event indices, behind the entries of the other's ring (2.7.7.1, 2.7.10.1).
static __virtio16 *used_event(struct vq *q)
{
	return &q->avail->ring[q->config.size];
}

static __virtio16 *avail_event(struct vq *q)
{
	return (__virtio16 *)&q->used->ring[q->config.size];
}

static int ring_at(struct vq *q, uint64_t gpa, uint64_t len, enum gmem_dir dir, void **ret)
{
	struct gmem_piece piece;
	int n = gmem_at(q->mem, q->dev, gpa, len, dir, &piece, 1);

	if (n == 1)
		*ret = piece.hva;
	return n < 0 ? (n == -E2BIG ? -EFAULT : n) : 0;
}

static int translate(struct vq *q)
{
	const struct vq_config *c = &q->config;
	uint64_t n = c->size;
	void *desc, *avail, *used;

	// Before the translations: a map that changes meanwhile leaves an old number behind.
	q->generation = gmem_generation(q->mem);
	int err = ring_at(q, c->desc, n * sizeof(struct vring_desc), GMEM_READ, &desc);
	if (!err)
		err = ring_at(q, c->avail, n * sizeof(__virtio16) + RING_EXTRA, GMEM_READ, &avail);
	if (!err)
		err = ring_at(q, c->used, n * sizeof(vring_used_elem_t) + RING_EXTRA, GMEM_WRITE,
			      &used);
	if (err)
		return err;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	return 0;
}

static COLD int fail(struct vq *q, int err)
{
	if (!q->broken)
		q->broken = err;
	return q->broken;
}

// May the rings be used? Translates them again if the memory map has changed.
HOT bool usable(struct vq *q)
{
	if (unlikely(q->broken))
		return false;
	if (likely(q->generation == gmem_generation(q->mem)))
		return true;
	int err = translate(q);
	if (err)
		fail(q, err);
	return !err;
}

int vq_start(struct vq *q, struct gmem *m, struct gmem_dev *dev, const struct vq_config *c)
{
	memset(q, 0, sizeof(*q));
	q->broken = -ESHUTDOWN;
	// GUEST: size and addresses are what the driver wrote to the registers
	if (!c->size || c->size > VQ_MAX_SIZE || c->size & (c->size - 1))
		return -EINVAL;
	if (c->desc % ALIGN_DESC || c->avail % ALIGN_AVAIL || c->used % ALIGN_USED)
		return -EINVAL;
	if ((uint16_t)(c->last_avail - c->used_idx) > c->size)
		return -EINVAL;
	q->mem = m;
	q->dev = dev;
	q->config = *c;
	int err = translate(q);
	if (err)
		return err;
	q->last_avail = q->avail_idx = c->last_avail;
	q->used_idx = q->flushed = c->used_idx;
	q->broken = 0;
	return 0;
}

void vq_stop(struct vq *q, struct vq_config *ret)
{
	if (ret) {
		*ret = q->config;
		ret->last_avail = q->last_avail;
		ret->used_idx = q->used_idx;
	}
	q->broken = -ESHUTDOWN;
}

// Reads the driver's index. The number of new chains, or -ERANGE.
static int look(struct vq *q)
{
	// GUEST: the available index. Acquire, with the driver's write barrier before its store:
	// entries and descriptors up to it are read after it. (More than that for vq_kicks_on();
	// both cost the same.)
	uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_SEQ_CST);

	// Chains that the device still has count too, so that a driver cannot pile them up.
	if ((uint16_t)(idx - q->used_idx) > q->config.size ||
	    (uint16_t)(idx - q->last_avail) > (uint16_t)(idx - q->used_idx))
		return fail(q, -ERANGE);
	q->avail_idx = idx;
	return (uint16_t)(idx - q->last_avail);
}

bool vq_empty(struct vq *q)
{
	return !usable(q) || (q->last_avail == q->avail_idx && look(q) <= 0);
}

_Static_assert(sizeof(struct gmem_piece) == sizeof(struct iovec) &&
		       offsetof(struct gmem_piece, hva) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct gmem_piece, len) == offsetof(struct iovec, iov_len),
	       "pieces of memory are filled in where the caller wants iovecs");

static int add_pieces(struct walk *w, uint64_t gpa, uint32_t len, bool in)
{
	struct vq_chain *c = w->ret;
	uint32_t at = c->out_count + c->in_count;
	int n = gmem_at(w->q->mem, w->q->dev, gpa, len, in ? GMEM_WRITE : GMEM_READ,
			(struct gmem_piece *)&c->piece[at], c->cap - at);

	if (n < 0)
		return n;
	if (in) {
		c->in_count += (uint32_t)n;
		c->in_len += len;
	} else {
		c->out_count += (uint32_t)n;
		c->out_len += len;
	}
	return 0;
}

// Goes on in the indirect table that a descriptor names.
static COLD int enter_table(struct walk *w, uint64_t gpa, uint32_t len, uint16_t flags)
{
	struct gmem_piece piece;

	if (w->nested || !w->q->config.indirect || flags & VRING_DESC_F_NEXT)
		return -EPROTO;
	if (!len || len % sizeof(struct vring_desc) ||
	    len / sizeof(struct vring_desc) > VQ_MAX_SIZE)
		return -EINVAL;
	int n = gmem_at(w->q->mem, w->q->dev, gpa, len, GMEM_READ, &piece, 1);
	if (n != 1)
		return n == -E2BIG ? -EFAULT : n;
	w->table = piece.hva;
	w->left = w->entries = (uint32_t)(len / sizeof(struct vring_desc));
	w->nested = true;
	return 0;
}

// Collects the chain that begins with descriptor `i`. 0 or the -errno of vq_pop().
static int walk_chain(struct walk *w, uint32_t i)
{
	struct vq_chain *c = w->ret;

	for (;;) {
		if (i >= w->entries)
			return -ENXIO;
		if (!w->left--)
			return -ELOOP;
		// GUEST: the descriptor, one load for each half of it
		const guest64 *word = (const guest64 *)&w->table[i];
		uint64_t gpa = word[0], rest = word[1];
		uint32_t len = (uint32_t)rest;
		uint16_t flags = (uint16_t)(rest >> 32);
		if (unlikely(flags & VRING_DESC_F_INDIRECT)) {
			int err = enter_table(w, gpa, len, flags);
			if (err)
				return err;
			i = 0;
			continue;
		}
		bool in = flags & VRING_DESC_F_WRITE;
		if (w->in && !in)
			return -EPROTO;
		w->in = in;
		int err = add_pieces(w, gpa, len, in);
		if (err)
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		i = (uint32_t)(rest >> 48);
	}
	return c->out_len + c->in_len > MAX_CHAIN_BYTES ? -EOVERFLOW : 0;
}

int vq_pop(struct vq *q, struct vq_chain *ret)
{
	if (unlikely(!usable(q)))
		return q->broken;
	if (q->last_avail == q->avail_idx) {
		int n = look(q);
		if (n <= 0)
			return n;
	}
	// GUEST: the chain's head
	uint16_t head = __atomic_load_n(&q->avail->ring[q->last_avail & (q->config.size - 1)],
					__ATOMIC_RELAXED);
	struct walk w = {
		.q = q,
		.ret = ret,
		.table = q->desc,
		.entries = q->config.size,
		.left = q->config.size,
	};
	if (head < q->config.size && q->in_flight[head / 64] >> head % 64 & 1)
		return fail(q, -EEXIST);
	ret->out_count = ret->in_count = 0;
	ret->out_len = ret->in_len = 0;
	int err = walk_chain(&w, head);
	if (unlikely(err))
		return fail(q, err);
	ret->head = head;
	q->last_avail++;
	q->in_flight[head / 64] |= 1ull << head % 64;
	q->popped_head = head;
	q->popped_bytes = ret->out_len;
	count_own(&q->chains, 1);
	count_own(&q->bytes, ret->out_len);
	return 1;
}

void vq_unpop(struct vq *q)
{
	q->last_avail--;
	q->in_flight[q->popped_head / 64] &= ~(1ull << q->popped_head % 64);
	count_own(&q->chains, -1ull);
	count_own(&q->bytes, -q->popped_bytes);
}

void vq_look_again(struct vq *q)
{
	q->avail_idx = q->last_avail;
}

void vq_push(struct vq *q, uint16_t head, uint32_t written)
{
	if (unlikely(!usable(q)))
		return;
	vring_used_elem_t *e = &q->used->ring[q->used_idx & (q->config.size - 1)];
	e->id = head;
	e->len = written;
	q->used_idx++;
	count_own(&q->bytes, written);
	q->in_flight[head / 64] &= ~(1ull << head % 64);
}

bool vq_flush(struct vq *q)
{
	uint16_t old = q->flushed, new = q->used_idx;
	bool wanted;

	if (old == new || unlikely(!usable(q)))
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
	if (!usable(q))
		return false;
	if (q->config.event_idx)
		__atomic_store_n(avail_event(q), q->last_avail, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->used->flags, 0, __ATOMIC_RELAXED);
	// Full fence between our wish and our load of the index, with the driver's between its
	// store of the index and its load of our wish.
	atomic_thread_fence(memory_order_seq_cst);
	return !vq_empty(q);
}

void vq_kicks_off(struct vq *q)
{
	// With event indices there is nothing to do: the driver notifies when it passes the index
	// that vq_kicks_on() set, which lies behind.
	if (!q->config.event_idx && usable(q))
		__atomic_store_n(&q->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

void vq_counts(struct vq *q, struct vq_counts *ret)
{
	ret->chains = count_get(&q->chains);
	ret->bytes = count_get(&q->bytes);
	ret->interrupts = count_get(&q->interrupts);
}
