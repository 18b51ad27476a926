// SPDX-License-Identifier: Apache-2.0
// The control queue (5.1.6.5): which packets, addresses, pairs and offloads the driver wants.
//
// Nothing is filtered here: a device may deliver more than was asked for, and drivers drop what is
// not theirs. The commands are checked all the same.
#include "vnet_impl.h"

struct command {
	struct vnet *n;
	const struct vq_chain *chain;
	uint64_t len; // bytes behind class and command
};

// Bytes of the command at `offset`: GUEST: copied once. False: there are not so many.
static bool get(const struct command *c, uint64_t offset, void *ret, size_t len)
{
	return iov_to_buf(c->chain->piece, c->chain->out_count,
			  sizeof(struct virtio_net_ctrl_hdr) + offset, ret, len) == len;
}

static bool rx_mode(const struct command *c, uint8_t cmd)
{
	uint8_t on;

	return cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI && c->len == sizeof(on) &&
	       get(c, 0, &on, sizeof(on)) && on <= 1;
}

// Two tables of addresses, each with its length in front, and nothing behind them.
static bool mac_table(const struct command *c)
{
	uint64_t at = 0;

	for (int table = 0; table < 2; table++) {
		uint32_t entries;
		if (!get(c, at, &entries, sizeof(entries)))
			return false;
		at += sizeof(entries) + (uint64_t)entries * 6;
	}
	return at == c->len;
}

static bool mac_address(const struct command *c)
{
	uint8_t mac[6];

	if (c->len != sizeof(mac) || !get(c, 0, mac, sizeof(mac)) || mac[0] & 1)
		return false;
	LOCKED(&c->n->vdev.dev.lock);
	memcpy(c->n->vdev.config, mac, sizeof(mac));
	return true;
}

static bool pairs(const struct command *c)
{
	struct vnet *n = c->n;
	uint32_t before = n->active;
	uint16_t wanted;

	if (c->len != sizeof(wanted) || !get(c, 0, &wanted, sizeof(wanted)) || !wanted ||
	    wanted > n->pairs)
		return false;
	n->active = wanted;
	if (vnet_apply_pairs(n)) {
		n->active = before;
		vnet_apply_pairs(n);
		return false;
	}
	for (uint32_t i = 2 * before; i < 2 * n->active; i++)
		virtio_again(&n->vdev, i); // whatever it kicked for before
	return true;
}

static bool guest_offloads(const struct command *c)
{
	struct vnet *n = c->n;
	uint64_t wanted, before = n->offloads;

	if (c->len != sizeof(wanted) || !get(c, 0, &wanted, sizeof(wanted)) ||
	    wanted & ~(n->vdev.acked & VNET_GUEST_OFFLOADS))
		return false;
	n->offloads = wanted;
	if (!vnet_apply_offloads(n))
		return true;
	n->offloads = before;
	return false;
}

static bool obey(const struct command *c, const struct virtio_net_ctrl_hdr *h)
{
	const struct virtio_dev *d = &c->n->vdev;

	switch (h->class << 8 | h->cmd) {
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_PROMISC:
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_ALLMULTI:
		return virtio_has(d, VIRTIO_NET_F_CTRL_RX) && rx_mode(c, h->cmd);
	case VIRTIO_NET_CTRL_MAC << 8 | VIRTIO_NET_CTRL_MAC_TABLE_SET:
		return virtio_has(d, VIRTIO_NET_F_CTRL_RX) && mac_table(c);
	case VIRTIO_NET_CTRL_MAC << 8 | VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return virtio_has(d, VIRTIO_NET_F_CTRL_MAC_ADDR) && mac_address(c);
	case VIRTIO_NET_CTRL_MQ << 8 | VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
		return virtio_has(d, VIRTIO_NET_F_MQ) && pairs(c);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS << 8 | VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET:
		return virtio_has(d, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) && guest_offloads(c);
	default:
		return false;
	}
}

static void serve(struct vnet *n, const struct vq_chain *chain)
{
	const struct command c = { n, chain, chain->out_len - sizeof(struct virtio_net_ctrl_hdr) };
	struct virtio_net_ctrl_hdr h = { 0 };

	iov_to_buf(chain->piece, chain->out_count, 0, &h, sizeof(h)); // GUEST: class and command
	bool ok = obey(&c, &h);
	uint8_t ack = ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	iov_from_buf(chain->piece + chain->out_count, chain->in_count, 0, &ack, sizeof(ack));
	count_add(&n->control, 1);
	count_add(&n->control_refused, !ok);
}

void vnet_control(struct vnet *n, uint32_t queue)
{
	struct vq *vq = &n->vdev.queue[queue].vq;
	uint32_t left = VNET_BATCH;

	do {
		struct vq_chain c = { .piece = n->piece, .cap = VNET_PIECES };
		int got = vq_pop(vq, &c);
		if (got > 0 && (c.out_len < sizeof(struct virtio_net_ctrl_hdr) || !c.in_len))
			got = -EBADMSG;
		if (got < 0) {
			virtio_needs_reset(&n->vdev, got == -EBADMSG ? VIRTIO_FAULT_REQUEST
								     : VIRTIO_FAULT_RING);
			return;
		}
		if (got) {
			serve(n, &c);
			vq_push(vq, c.head, sizeof(virtio_net_ctrl_ack));
		} else if (!vq_kicks_on(vq)) {
			break;
		}
	} while (--left);
	if (vq_flush(vq))
		virtio_interrupt(&n->vdev, queue);
	if (!left)
		virtio_again(&n->vdev, queue);
}
