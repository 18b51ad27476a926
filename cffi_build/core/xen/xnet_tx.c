// SPDX-License-Identifier: Apache-2.0
// From the guest to the tap.
#include "xnet_impl.h"

enum {
	FRAME_LEAST = 14, // an Ethernet header
};

// struct netif_tx_request
struct request {
	uint32_t gref;
	uint16_t offset, flags, id, size; // of the first one: the frame's
};

// struct netif_tx_response
struct answer {
	uint16_t id;
	int16_t status;
};

_Static_assert(sizeof(struct request) == 12, "netif_tx_request");
_Static_assert(sizeof(struct answer) == 4, "netif_tx_response");

// One frame as the guest describes it: copies of its entries.
struct frame {
	struct request piece[XNET_TX_SLOTS]; // the first one's size is its own
	uint32_t pieces, extras, mapped;
	uint32_t len;
	bool odd; // has an extra that only other features allow
	struct xnet_extra gso; // type 0: none
	uint8_t head[XNET_HEAD];
	uint32_t head_len;
	struct iovec iov[XNET_TX_SLOTS + 1]; // after a place for the tap's header
	struct virtio_net_hdr_v1 header;
};

// --- What the guest asks for; `left` counts the entries that there are.

static int read_extras(struct xnet_queue *q, uint32_t *at, uint32_t *left, struct frame *f)
{
	struct xnet_extra extra = { .flags = XNET_EXTRA_MORE };

	while (extra.flags & XNET_EXTRA_MORE) {
		if (!*left || f->extras == XNET_EXTRAS)
			return xnet_break(q->x, XNET_BAD_EXTRA);
		xring_get(&q->tx, (*at)++, &extra, sizeof(extra));
		--*left;
		f->extras++;
		if (!extra.type || extra.type >= XNET_EXTRA_TYPES)
			return xnet_break(q->x, XNET_BAD_EXTRA);
		if (extra.type == XNET_EXTRA_GSO)
			f->gso = extra;
		else
			f->odd = true;
	}
	if (f->gso.type &&
	    (!f->gso.size || f->gso.kind < XNET_GSO_TCPV4 || f->gso.kind > XNET_GSO_TCPV6))
		return xnet_break(q->x, XNET_BAD_GSO);
	return 0;
}

static int read_pieces(struct xnet_queue *q, uint32_t *at, uint32_t *left, struct frame *f)
{
	uint32_t others = 0;

	while (f->piece[f->pieces - 1].flags & XNETF_MORE_DATA) {
		if (!*left || f->pieces == XNET_TX_SLOTS)
			return xnet_break(q->x, XNET_BAD_SLOTS);
		struct request *r = &f->piece[f->pieces++];
		xring_get(&q->tx, (*at)++, r, sizeof(*r));
		--*left;
		others += r->size;
	}
	if (others > f->len)
		return xnet_break(q->x, XNET_BAD_SIZE);
	f->piece[0].size = (uint16_t)(f->len - others);
	for (uint32_t i = 0; i < f->pieces; i++) {
		if (f->piece[i].offset + f->piece[i].size > GNTTAB_PAGE)
			return xnet_break(q->x, XNET_BAD_SIZE);
	}
	return 0;
}

// The next frame of `left` entries, without taking them. GUEST: everything in it is a copy.
static int read_frame(struct xnet_queue *q, uint32_t left, struct frame *f)
{
	uint32_t at = q->tx.req_cons;

	f->pieces = 1;
	f->extras = f->mapped = 0;
	f->odd = false;
	f->gso.type = 0;
	xring_get(&q->tx, at++, &f->piece[0], sizeof(f->piece[0]));
	left--;
	f->len = f->piece[0].size;
	int err = f->piece[0].flags & XNETF_EXTRA_INFO ? read_extras(q, &at, &left, f) : 0;
	return err ? err : read_pieces(q, &at, &left, f);
}

// --- Sending it

static void unmap(struct xnet_queue *q, struct frame *f)
{
	while (f->mapped)
		gnttab_unmap(q->x->grants, f->piece[--f->mapped].gref, false);
}

static int map(struct xnet_queue *q, struct frame *f)
{
	for (; f->mapped < f->pieces; f->mapped++) {
		const struct request *r = &f->piece[f->mapped];
		void *page;
		int err = gnttab_map(q->x->grants, r->gref, false, &page);
		if (err) {
			unmap(q, f);
			return err;
		}
		f->iov[1 + f->mapped] = (struct iovec){ (uint8_t *)page + r->offset, r->size };
	}
	return 0;
}

// What the tap has to know of it, from a copy of its headers. False: it cannot be sent like this.
static bool describe(struct frame *f)
{
	struct virtio_net_hdr_v1 *h = &f->header;
	struct xnet_layers layers;

	*h = (struct virtio_net_hdr_v1){ 0 };
	if (!(f->piece[0].flags & XNETF_CSUM_BLANK))
		return !f->gso.type; // who cuts it up has to make checksums anyway
	f->head_len = (uint32_t)iov_to_buf(f->iov + 1, f->pieces, 0, f->head, sizeof(f->head));
	if (!xnet_layers(f->head, f->head_len, &layers))
		return false;
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = layers.start;
	h->csum_offset = layers.sum;
	if (!f->gso.type)
		return true;
	if (!layers.tcp || layers.ipv6 != (f->gso.kind == XNET_GSO_TCPV6))
		return false;
	h->gso_type = layers.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_size = f->gso.size;
	h->hdr_len = layers.end;
	return true;
}

static int drop(struct xnet_queue *q, struct frame *f)
{
	unmap(q, f);
	q->x->counters.tx_dropped++;
	return XNET_RSP_ERROR;
}

// XNET_RSP_OKAY or _ERROR, or -EAGAIN: the tap takes no more now.
static int transmit(struct xnet_queue *q, struct frame *f)
{
	struct xnet *x = q->x;

	if (f->odd || f->len < FRAME_LEAST)
		return drop(q, f);
	if (map(q, f)) {
		x->counters.refused++;
		xnet_tell(x, XNET_REFUSED);
		return XNET_RSP_ERROR;
	}
	if (!describe(f))
		return drop(q, f);
	f->iov[0] = (struct iovec){ &f->header, XNET_HEADER };
	ssize_t done = tap_write(q->fd, f->iov, f->pieces + 1);
	if (done < 0 && done != -EAGAIN) { // the tap does not like it, is down or is gone
		if (done == -EBADFD)
			xnet_lost(q);
		return drop(q, f);
	}
	unmap(q, f);
	if (done < 0)
		return -EAGAIN;
	x->counters.tx_packets++;
	x->counters.tx_bytes += f->len;
	x->counters.tx_gso += f->gso.type != 0;
	return XNET_RSP_OKAY;
}

// Takes the entries and gives them back, each where it was.
static void answer(struct xnet_queue *q, const struct frame *f, int status)
{
	struct answer a = { 0 };

	for (uint32_t i = 0; i < f->pieces; i++) {
		a = (struct answer){ f->piece[i].id, (int16_t)status };
		xring_put(&q->tx, &a, sizeof(a));
		for (uint32_t e = 0; !i && e < f->extras; e++) {
			a = (struct answer){ 0, XNET_RSP_NULL };
			xring_put(&q->tx, &a, sizeof(a));
		}
	}
	q->tx.req_cons += f->pieces + f->extras;
}

// How many entries there are, having asked to be told of the next if there is none.
static int look(struct xnet_queue *q)
{
	int n = xring_waiting(&q->tx);

	if (!n) {
		xring_listen(&q->tx, 1);
		n = xring_waiting(&q->tx);
	}
	return n < 0 ? xnet_break(q->x, XNET_BAD_INDEX) : n;
}

void xnet_tx(struct xnet_queue *q)
{
	uint32_t left = XNET_BATCH;
	struct frame f;
	int n = 0;

	while (left && !q->tx_waits && (n = look(q)) > 0) {
		if (read_frame(q, (uint32_t)n, &f))
			break;
		int status = transmit(q, &f);
		if (status == -EAGAIN) {
			q->x->counters.tx_waits++;
			q->tx_waits = true;
			xnet_listen(q);
		} else {
			answer(q, &f, status);
			left--;
		}
	}
	if (xring_show(&q->tx)) {
		q->x->counters.calls++;
		xenbytes_tell(q->link.tx_call);
	}
	if (!left)
		xenbytes_tell(q->link.tx_kick);
}
