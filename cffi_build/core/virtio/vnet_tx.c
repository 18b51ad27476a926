// SPDX-License-Identifier: Apache-2.0
// From the guest to the tap.
#include "tap.h"
#include "vnet_impl.h"

enum {
	FRAME_LEAST = 14, // an Ethernet header
	GSO_KIND = (uint8_t)~VIRTIO_NET_HDR_GSO_ECN,
};

// Whether the driver may ask for this way of cutting a packet up (5.1.6.2).
static bool gso_ok(const struct virtio_dev *d, const struct virtio_net_hdr_v1 *h)
{
	uint32_t needs;

	switch (h->gso_type & GSO_KIND) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		needs = VIRTIO_NET_F_HOST_TSO4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		needs = VIRTIO_NET_F_HOST_TSO6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP:
		needs = VIRTIO_NET_F_HOST_UFO;
		break;
	default:
		return false;
	}
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN && !virtio_has(d, VIRTIO_NET_F_HOST_ECN))
		return false;
	return virtio_has(d, needs) && h->gso_size && h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
}

bool vnet_header_ok(const struct virtio_dev *d, struct virtio_net_hdr_v1 *h, uint64_t len)
{
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM; // the others are not the driver's to set
	h->num_buffers = 0;
	if (h->hdr_len > len) // a hint that nobody may rely on
		h->hdr_len = (uint16_t)len;
	if (h->flags && (!virtio_has(d, VIRTIO_NET_F_CSUM) ||
			 (uint64_t)h->csum_start + h->csum_offset + sizeof(uint16_t) > len))
		return false;
	return h->gso_type == VIRTIO_NET_HDR_GSO_NONE || gso_ok(d, h);
}

// Puts the checked header before the frame: the vector for the tap.
static struct iovec *behind_header(struct vq_chain *c, struct virtio_net_hdr_v1 *h)
{
	size_t skip = VNET_HEADER;

	while (skip >= c->piece->iov_len) {
		skip -= c->piece->iov_len;
		c->piece++;
		c->out_count--;
	}
	c->piece->iov_base = (uint8_t *)c->piece->iov_base + skip;
	c->piece->iov_len -= skip;
	c->piece--;
	c->out_count++;
	*c->piece = (struct iovec){ h, VNET_HEADER };
	return c->piece;
}

// 1: sent or dropped; -EAGAIN: the tap takes no more now.
static int write_packet(struct vnet_pair *p, struct vq_chain *c)
{
	uint64_t len = c->out_len - VNET_HEADER;
	struct virtio_net_hdr_v1 header;

	iov_to_buf(c->piece, c->out_count, 0, &header, VNET_HEADER); // GUEST: read once
	if (len < FRAME_LEAST || c->out_len > VNET_PACKET_MAX) {
		count_own(&p->tx_dropped, 1);
		return 1;
	}
	if (!vnet_header_ok(vnet_dev(p), &header, len)) {
		count_own(&p->tx_bad_header, 1);
		return 1;
	}
	const struct iovec *vector = behind_header(c, &header);
	ssize_t done = tap_write(p->fd, vector, c->out_count);
	if (done == -EAGAIN)
		return -EAGAIN;
	if (done < 0) { // the tap does not like it, is down or is gone
		if (done == -EBADFD)
			vnet_lost(p);
		count_own(&p->tx_dropped, 1);
		return 1;
	}
	count_own(&p->tx_packets, 1);
	count_own(&p->tx_bytes, len);
	return 1;
}

// 1: the packet is gone; 0: there is none; -EAGAIN or why the driver must reset.
static int transmit(struct vnet_pair *p, struct vq *vq)
{
	struct vq_chain c = { .piece = p->n->piece + 1, .cap = VNET_PIECES };
	int got = vq_pop(vq, &c);

	if (got <= 0)
		return got;
	if (c.in_count || c.out_len < VNET_HEADER)
		return -EBADMSG;
	got = write_packet(p, &c);
	if (got > 0)
		vq_push(vq, c.head, 0);
	else
		vq_unpop(vq);
	return got;
}

void vnet_tx(struct vnet_pair *p)
{
	struct virtio_dev *d = vnet_dev(p);
	struct vq *vq = &d->queue[p->tx_queue].vq;
	uint32_t left = VNET_BATCH;
	int got = 1;

	vq_kicks_off(vq);
	while (left && (got > 0 || (!got && vq_kicks_on(vq)))) {
		got = transmit(p, vq);
		left -= got > 0;
	}
	if (vq_flush(vq))
		virtio_interrupt(d, p->tx_queue);
	if (got == -EAGAIN) {
		count_own(&p->tx_waited, 1);
		p->tx_waits = true;
		vnet_listen(p);
	} else if (got < 0) {
		virtio_needs_reset(d, got == -EBADMSG ? VIRTIO_FAULT_REQUEST : VIRTIO_FAULT_RING);
	} else if (!left) {
		virtio_again(d, p->tx_queue);
	}
}
