// SPDX-License-Identifier: Apache-2.0
// The bytes of a virtio console's ports, from and to the guest. The loop's thread only.
#include "iov.h"
#include "vcon_impl.h"

// What became of a chain's bytes.
enum sent {
	SENT_ALL,
	SENT_WAITS, // the channel takes no more and will say when it does
	SENT_BUDGET, // enough for now
};

static struct vq *queue_of(struct vcon *v, uint32_t queue)
{
	return &v->vdev.queue[queue].vq;
}

bool vcon_pop(struct vcon *v, uint32_t queue, struct vq_chain *ret)
{
	if (!virtio_queue_live(&v->vdev, queue))
		return false;
	ret->piece = v->piece;
	ret->cap = VQ_MAX_SIZE;
	int n = vq_pop(queue_of(v, queue), ret);
	if (n < 0)
		virtio_needs_reset(&v->vdev, VIRTIO_FAULT_RING);
	return n > 0;
}

void vcon_flush(struct vcon *v, uint32_t queue)
{
	if (vq_flush(queue_of(v, queue)))
		virtio_interrupt(&v->vdev, queue);
}

bool vcon_more(struct vcon *v, uint32_t queue)
{
	struct vq *q = queue_of(v, queue);

	if (!virtio_queue_live(&v->vdev, queue) || !vq_kicks_on(q))
		return false;
	vq_kicks_off(q);
	return true;
}

// --- From the guest

// One attempt to hand on bytes; how many were taken, or -errno as of chan_writev().
static ssize_t hand_on(struct vcon_port *p, const struct iovec *iov, uint32_t count)
{
	if (!p->console) {
		bool there = vcon_control_is(&p->v->control, p->id, VCON_HOST_OPEN);
		return there ? chan_writev(p->chan, iov, (int)count) : -ENOTCONN;
	}
	size_t n = chan_put(p->chan, iov->iov_base, iov->iov_len);
	return n || !iov->iov_len ? (ssize_t)n : -EAGAIN;
}

// Moves the beginning of the pieces `n` bytes on.
static void skip(struct iovec **iov, uint32_t *count, uint64_t n)
{
	while (*count && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (*count) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

// GUEST: the chain's bytes, which nobody here looks at. It may be another chain than the one that
// p->tx_taken was counted in, and shorter.
static enum sent send_chain(struct vcon_port *p, const struct vq_chain *chain, uint64_t *budget)
{
	struct iovec *iov = chain->piece;
	uint32_t count = chain->out_count;

	skip(&iov, &count, p->tx_taken);
	while (count) {
		ssize_t n = hand_on(p, iov, count);
		if (n == -EAGAIN)
			return SENT_WAITS;
		if (n < 0) {
			count_own(&p->tx_discarded, chain->out_len - p->tx_taken);
			return SENT_ALL;
		}
		p->tx_taken += (uint64_t)n;
		count_own(&p->tx_bytes, (uint64_t)n);
		skip(&iov, &count, (uint64_t)n);
		if (count && (uint64_t)n >= *budget)
			return SENT_BUDGET;
		*budget -= (uint64_t)n < *budget ? (uint64_t)n : *budget;
	}
	return SENT_ALL;
}

void vcon_tx(struct vcon_port *p)
{
	struct vcon *v = p->v;
	struct vq *q = queue_of(v, p->tx_queue);
	uint64_t budget = VCON_BUDGET_BYTES;
	enum sent sent = SENT_ALL;
	struct vq_chain chain;

	if (p->tx_waits || !vcon_flows(p) || !virtio_queue_live(&v->vdev, p->tx_queue))
		return;
	vq_kicks_off(q);
	for (uint32_t i = 0; sent == SENT_ALL;) {
		if (!vcon_pop(v, p->tx_queue, &chain)) {
			if (vcon_more(v, p->tx_queue))
				continue;
			break;
		}
		sent = send_chain(p, &chain, &budget);
		if (sent == SENT_ALL) {
			vq_push(q, chain.head, 0);
			p->tx_taken = 0;
			sent = ++i < VCON_BUDGET_CHAINS && budget ? SENT_ALL : SENT_BUDGET;
		} else {
			vq_unpop(q);
		}
	}
	vcon_flush(v, p->tx_queue);
	if (sent == SENT_BUDGET)
		virtio_again(&v->vdev, p->tx_queue);
	if (sent == SENT_WAITS) {
		p->tx_waits = true;
		count_own(&p->tx_blocked, 1);
	}
}

static void on_tx_ready(void *opaque)
{
	struct vcon_port *p = opaque;

	p->tx_waits = false;
	vcon_tx(p);
}

// --- To the guest

// Names the guest's next buffer, which on_filled() gives back or completes.
static int on_room(void *opaque, struct iovec *ret, int max)
{
	struct vcon_port *p = opaque;
	struct vcon *v = p->v;
	struct vq_chain chain;

	if (!vcon_listens(p))
		return 0;
	for (uint32_t i = 0; i < VCON_BUDGET_CHAINS;) {
		if (!vcon_pop(v, p->rx_queue, &chain)) {
			if (vcon_more(v, p->rx_queue))
				continue;
			break;
		}
		int count = chain.in_count < (uint32_t)max ? (int)chain.in_count : max;
		p->rx_head = chain.head;
		if (count) {
			memcpy(ret, chain.piece + chain.out_count, sizeof(*ret) * (size_t)count);
			return count;
		}
		vq_push(queue_of(v, p->rx_queue), chain.head, 0); // a buffer of no bytes
		vcon_flush(v, p->rx_queue);
		i++;
	}
	count_own(&p->rx_blocked, 1);
	return 0;
}

static void on_filled(void *opaque, size_t len)
{
	struct vcon_port *p = opaque;
	struct vq *q = queue_of(p->v, p->rx_queue);

	if (!len) {
		vq_unpop(q);
		return;
	}
	count_own(&p->rx_bytes, len);
	vq_push(q, p->rx_head, (uint32_t)len);
	vcon_flush(p->v, p->rx_queue);
}

// Bytes that the channel has read already: before this front-end was there, or for an escape.
static size_t on_rx(void *opaque, const uint8_t *buf, size_t len)
{
	struct iovec iov[CHAN_ROOM];
	size_t taken = 0;
	int count;

	while (taken < len && (count = on_room(opaque, iov, CHAN_ROOM))) {
		size_t n = iov_from_buf(iov, (uint32_t)count, 0, buf + taken, len - taken);
		on_filled(opaque, n);
		taken += n;
	}
	return taken;
}

void vcon_rx(struct vcon_port *p)
{
	if (!virtio_queue_live(&p->v->vdev, p->rx_queue))
		return;
	vq_kicks_off(queue_of(p->v, p->rx_queue)); // until there is input and no buffer
	if (vcon_listens(p))
		chan_rx_now(p->chan);
}

static void on_peer(void *opaque, bool connected)
{
	vcon_port_connected(opaque, connected);
}

const struct chan_front vcon_front = {
	.rx = on_rx,
	.tx_ready = on_tx_ready,
	.room = on_room,
	.filled = on_filled,
	.peer = on_peer,
};
