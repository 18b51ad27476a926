// SPDX-License-Identifier: Apache-2.0
// From the tap to the guest.
//
// How long the next packet is nobody says before it is read. It is read into as many buffers as the
// last ones needed, with the pair's own memory behind them; what lands there is rare and is given
// to the guest from there.
#include "tap.h"
#include "vnet_impl.h"

enum {
	WANT_DECAY = 8, // packets until a longer one is forgotten, about
	// A chain is no longer than the queue (2.7.5.2), and memory may cut a buffer in two.
	CHAIN_PIECES = 2 * VNET_QUEUE_SIZE,
};

static void begin(struct vnet_buffers *b)
{
	b->chains = b->pieces = 0;
	b->room = 0;
}

// Takes one more buffer: 1, 0 (there is none) or -errno.
static int take(struct vnet_pair *p, struct vq *vq)
{
	struct vnet *n = p->n;
	struct vnet_buffers *b = &n->rx;
	struct vq_chain c = {
		.piece = n->piece + b->pieces,
		.cap = b->chains ? CHAIN_PIECES : VNET_PIECES,
	};
	int got = vq_pop(vq, &c);

	if (got <= 0)
		return got;
	// Before the first byte of a packet there is its header, in the first buffer (5.1.6.3.1).
	if (c.out_count || c.in_len < (b->chains ? 1 : VNET_HEADER))
		return -EBADMSG;
	b->chain[b->chains].head = c.head;
	b->chain[b->chains++].len = c.in_len;
	b->pieces += c.in_count;
	b->room += c.in_len;
	return 1;
}

static void give_back(struct vnet_pair *p, struct vq *vq)
{
	struct vnet_buffers *b = &p->n->rx;

	while (b->chains)
		vq_unpop_chain(vq, b->chain[--b->chains].head, 0);
}

static bool may_take_more(struct vnet_pair *p)
{
	const struct vnet_buffers *b = &p->n->rx;
	struct virtio_dev *d = vnet_dev(p);

	if (!b->chains)
		return true;
	return virtio_has(d, VIRTIO_NET_F_MRG_RXBUF) && b->chains < d->queue[p->rx_queue].size &&
	       b->pieces + CHAIN_PIECES <= VNET_PIECES;
}

// Takes buffers for `want` bytes, or fewer if there are some for `must`. 0, -EAGAIN (the next kick
// says that there are more), -EMSGSIZE (there will never be enough) or another -errno.
static int gather(struct vnet_pair *p, struct vq *vq, uint64_t must, uint64_t want)
{
	struct vnet_buffers *b = &p->n->rx;

	while (b->room < want && may_take_more(p)) {
		int got = take(p, vq);
		if (got < 0)
			return got;
		if (got)
			continue;
		if (b->chains && b->room >= must)
			return 0;
		// With all of them taken the driver notifies for the next one. What came meanwhile
		// was not notified: then there is nothing to wait for.
		if (!vq_kicks_on(vq)) {
			p->rx_waits = true;
			return -EAGAIN;
		}
	}
	return b->room < must ? -EMSGSIZE : 0;
}

// Gives `len` bytes, which are in the buffers, to the guest.
static void finish(struct vnet_pair *p, struct vq *vq, uint64_t len)
{
	struct vnet *n = p->n;
	struct vnet_buffers *b = &n->rx;
	uint64_t left = len;
	uint16_t used = 0;

	while (used < b->chains && left) {
		uint64_t part = b->chain[used].len < left ? b->chain[used].len : left;
		left -= part;
		used++;
	}
	iov_from_buf(n->piece, b->pieces, offsetof(struct virtio_net_hdr_v1, num_buffers), &used,
		     sizeof(used));
	while (b->chains > used)
		vq_unpop_chain(vq, b->chain[--b->chains].head, 0);
	left = len;
	for (uint32_t i = 0; i < used; i++) {
		uint64_t part = b->chain[i].len < left ? b->chain[i].len : left;
		vq_push(vq, b->chain[i].head, (uint32_t)part);
		left -= part;
	}
	count_own(&p->rx_packets, 1);
	count_own(&p->rx_bytes, len - VNET_HEADER);
	if (len > p->rx_want)
		p->rx_want = (uint32_t)len;
	else
		p->rx_want -= (p->rx_want - (uint32_t)len) / WANT_DECAY;
	if (p->rx_want < VNET_WANT_LEAST)
		p->rx_want = VNET_WANT_LEAST;
}

// The packet that is held: 1 (it is gone) or as gather().
static int deliver_held(struct vnet_pair *p, struct vq *vq)
{
	struct vnet *n = p->n;

	begin(&n->rx);
	int err = gather(p, vq, p->held_len, p->held_len);
	if (!err) {
		iov_from_buf(n->piece, n->rx.pieces, 0, p->held, p->held_len);
		finish(p, vq, p->held_len);
	} else if (err == -EMSGSIZE) {
		give_back(p, vq);
		count_own(&p->rx_dropped, 1);
	} else {
		give_back(p, vq);
		return err;
	}
	p->held_len = 0;
	return 1;
}

// What did not fit is behind the buffers' end in `held`; the rest of the packet joins it.
static int hold(struct vnet_pair *p, struct vq *vq, uint32_t len)
{
	struct vnet *n = p->n;

	iov_to_buf(n->piece, n->rx.pieces, 0, p->held, n->rx.room);
	give_back(p, vq);
	p->held_len = len;
	return deliver_held(p, vq);
}

static ssize_t read_packet(struct vnet_pair *p)
{
	struct vnet *n = p->n;
	struct vnet_buffers *b = &n->rx;
	uint32_t count = b->pieces;

	if (b->room < VNET_PACKET_MAX)
		n->piece[count++] = (struct iovec){ p->held + b->room, VNET_PACKET_MAX - b->room };
	return tap_read(p->fd, n->piece, count);
}

// One packet: 1, 0 (the tap has none) or as gather().
static int receive(struct vnet_pair *p, struct vq *vq)
{
	struct vnet *n = p->n;

	if (p->held_len)
		return deliver_held(p, vq);
	begin(&n->rx);
	int err = gather(p, vq, VNET_HEADER, p->rx_want);
	if (err) {
		give_back(p, vq);
		return err;
	}
	ssize_t len = read_packet(p);
	if (len > (ssize_t)n->rx.room)
		return hold(p, vq, (uint32_t)len);
	if (len > VNET_HEADER) {
		finish(p, vq, (uint64_t)len);
		return 1;
	}
	give_back(p, vq);
	if (len == -EAGAIN)
		return 0;
	if (len <= 0 && tap_ended(p->fd, len)) {
		vnet_lost(p);
		return 0;
	}
	count_own(&p->rx_dropped, 1);
	return 1;
}

void vnet_rx(struct vnet_pair *p)
{
	struct virtio_dev *d = vnet_dev(p);
	struct vq *vq = &d->queue[p->rx_queue].vq;
	uint32_t left = VNET_BATCH;
	int got = 0;

	if (p->handle < 0)
		return;
	if (p->rx_waits) {
		p->rx_waits = false;
		vq_kicks_off(vq);
	}
	if (p->rx_muted) {
		p->rx_muted = false;
		vnet_listen(p);
	}
	while (left && (got = receive(p, vq)) > 0)
		left--;
	if (vq_flush(vq))
		virtio_interrupt(d, p->rx_queue);
	if (got == -EAGAIN)
		count_own(&p->rx_waited, 1);
	else if (got < 0)
		virtio_needs_reset(d, got == -EBADMSG ? VIRTIO_FAULT_REQUEST : VIRTIO_FAULT_RING);
	else if (!left)
		virtio_again(d, p->rx_queue);
}
