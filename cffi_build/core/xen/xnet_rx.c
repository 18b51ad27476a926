// SPDX-License-Identifier: Apache-2.0
// From the tap to the guest.
//
// How long the next frame is nobody says before it is read. It is read into as many pages as the
// last ones needed, with the queue's own memory behind them; what lands there is rare and is given
// to the guest from there. The second page stays free while more than one are needed: a frame that
// is to be cut up has the entry there for saying so.
#include "xnet_impl.h"

enum {
	WANT_DECAY = 8, // frames until a longer one is forgotten, about
};

// struct netif_rx_request
struct request {
	uint16_t id, pad;
	uint32_t gref;
};

// struct netif_rx_response
struct answer {
	uint16_t id, offset, flags;
	int16_t status;
};

_Static_assert(sizeof(struct request) == 8, "netif_rx_request");
_Static_assert(sizeof(struct answer) == 8, "netif_rx_response");

static uint32_t pages_of(uint32_t len)
{
	return (len + GNTTAB_PAGE - 1) / GNTTAB_PAGE;
}

// --- Pages of the guest's

// Lets go of all pages from the `from`th on; their entries stay the guest's.
static void give_back(struct xnet_queue *q, uint32_t from)
{
	struct xnet *x = q->x;

	while (x->slots > from)
		gnttab_unmap(x->grants, x->slot[--x->slots].ref, true);
}

static void answer(struct xnet_queue *q, uint16_t id, uint16_t flags, int32_t status)
{
	struct answer a = { .id = id, .flags = flags, .status = (int16_t)status };

	xring_put(&q->rx, &a, sizeof(a));
	q->rx.req_cons++;
}

// The guest keeps the pages of a frame that it cannot have, with the wild one behind them.
static void refuse(struct xnet_queue *q, uint16_t id)
{
	struct xnet *x = q->x;
	uint32_t count = x->slots;

	give_back(q, 0);
	for (uint32_t i = 0; i < count; i++)
		answer(q, x->slot[i].id, 0, XNET_RSP_ERROR);
	answer(q, id, 0, XNET_RSP_ERROR);
	x->counters.refused++;
	xnet_tell(x, XNET_REFUSED);
}

static void take_slot(struct xnet_queue *q)
{
	struct xnet *x = q->x;
	struct request r;
	void *page;

	xring_get(&q->rx, q->rx.req_cons + x->slots, &r, sizeof(r)); // GUEST: the copy counts
	if (gnttab_map(x->grants, r.gref, true, &page)) {
		refuse(q, r.id);
		return;
	}
	x->slot[x->slots++] = (struct xnet_slot){ r.id, r.gref, page };
}

// Takes pages until there are `want`, or fewer if there are `must`. 0, -EAGAIN (the guest says when
// there are more) or -EIO.
static int gather(struct xnet_queue *q, uint32_t must, uint32_t want)
{
	struct xnet *x = q->x;

	x->slots = 0;
	// Whatever is refused is taken from the ring, but the guest may put more there for ever.
	for (uint32_t left = 2 * XNET_RING; left && x->slots < want; left--) {
		int n = xring_waiting(&q->rx);
		if (n >= 0 && (uint32_t)n <= x->slots && x->slots < must) {
			xring_listen(&q->rx, must);
			n = xring_waiting(&q->rx);
			if (n >= 0 && (uint32_t)n < must) {
				q->rx_waits = true;
				return -EAGAIN;
			}
		}
		if (n < 0)
			return xnet_break(x, XNET_BAD_INDEX);
		if ((uint32_t)n <= x->slots)
			return 0;
		take_slot(q);
	}
	return x->slots < must ? xnet_break(x, XNET_BAD_SLOTS) : 0;
}

// The pages that bytes of a frame go to; how many. `spare`: the second one is kept free.
static uint32_t data_pieces(const struct xnet *x, bool spare, struct iovec *ret)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < x->slots; i++) {
		if (i != 1 || !spare)
			ret[count++] = (struct iovec){ x->slot[i].page, GNTTAB_PAGE };
	}
	return count;
}

// --- Giving a frame to the guest

// What the guest is told of the frame's checksum, which is made here where it takes none that
// lack theirs. -1: it cannot have the frame.
static int checksum(struct xnet_queue *q, const struct iovec *piece, uint32_t count, uint32_t len)
{
	const struct virtio_net_hdr_v1 *h = &q->header;
	uint8_t head[XNET_HEAD];
	struct xnet_layers l;
	struct xnet *x = q->x;

	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return h->flags & VIRTIO_NET_HDR_F_DATA_VALID ? XNETF_DATA_VALIDATED : 0;
	size_t n = iov_to_buf(piece, count, 0, head, len < sizeof(head) ? len : sizeof(head));
	if (xnet_layers(head, (uint32_t)n, &l) && !l.tagged && l.start == h->csum_start &&
	    l.sum == h->csum_offset && x->takes & (l.ipv6 ? XNET_CSUM6 : XNET_CSUM4))
		return XNETF_CSUM_BLANK | XNETF_DATA_VALIDATED;
	if (h->gso_type || !xnet_fill_sum(piece, count, len, h))
		return -1;
	x->counters.rx_summed++;
	return XNETF_DATA_VALIDATED;
}

// How the guest is to cut it up: 0, XNET_GSO_* or -1 for a way it does not know.
static int gso_kind(const struct xnet_queue *q)
{
	switch (q->header.gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return 0;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return q->x->takes & XNET_TSO4 ? XNET_GSO_TCPV4 : -1;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return q->x->takes & XNET_TSO6 ? XNET_GSO_TCPV6 : -1;
	default:
		return -1;
	}
}

static void put_extra(struct xnet_queue *q, int kind)
{
	struct xnet_extra extra = { .type = XNET_EXTRA_GSO,
				    .size = q->header.gso_size,
				    .kind = (uint8_t)kind };

	xring_put(&q->rx, &extra, sizeof(extra));
	q->rx.req_cons++;
}

// `len` bytes are in the pages.
static void finish(struct xnet_queue *q, uint32_t len, int kind, int sum)
{
	struct xnet *x = q->x;
	uint32_t left = len, slots = pages_of(len) + (kind != 0);
	uint16_t flags = (uint16_t)(sum | (kind ? XNETF_EXTRA_INFO : 0));

	give_back(q, slots);
	uint32_t count = x->slots;
	give_back(q, 0); // nothing is granted any more when the guest hears of it
	for (uint32_t i = 0; i < count; i++) {
		if (kind && i == 1) {
			put_extra(q, kind);
			continue;
		}
		uint32_t part = left < GNTTAB_PAGE ? left : GNTTAB_PAGE;
		left -= part;
		flags |= left ? XNETF_MORE_DATA : 0;
		answer(q, x->slot[i].id, flags, (int32_t)part);
		flags = 0;
	}
	x->counters.rx_packets++;
	x->counters.rx_bytes += len;
	x->counters.rx_gso += kind != 0;
	if (len > q->rx_want)
		q->rx_want = len;
	else
		q->rx_want -= (q->rx_want - len) / WANT_DECAY;
}

static int drop(struct xnet_queue *q)
{
	give_back(q, 0);
	q->held_len = 0;
	q->x->counters.rx_dropped++;
	return 1;
}

// The frame that is held: 1 (it is gone) or as gather().
static int deliver_held(struct xnet_queue *q)
{
	struct iovec piece[XNET_RX_SLOTS];
	uint32_t len = q->held_len;
	struct iovec held = { q->held, len };
	int kind = gso_kind(q), sum = kind < 0 ? -1 : checksum(q, &held, 1, len);

	if (kind < 0 || sum < 0 || (len > GNTTAB_PAGE && !(q->x->takes & XNET_SG)))
		return drop(q);
	uint32_t slots = pages_of(len) + (kind != 0);
	int err = gather(q, slots, slots);
	if (err) {
		give_back(q, 0);
		return err;
	}
	iov_from_buf(piece, data_pieces(q->x, kind != 0, piece), 0, q->held, len);
	finish(q, len, kind, sum);
	q->held_len = 0;
	return 1;
}

// One frame that has been read: into the pages if it fits as they are, else by way of our memory.
static int deliver(struct xnet_queue *q, const struct iovec *piece, uint32_t count, uint32_t len)
{
	bool spare = q->x->slots > 1;

	if (len <= count * GNTTAB_PAGE && (!q->header.gso_type || spare) &&
	    (q->header.gso_type || len <= GNTTAB_PAGE)) {
		int kind = gso_kind(q), sum = kind < 0 ? -1 : checksum(q, piece, count, len);
		if (sum < 0)
			return drop(q);
		finish(q, len, kind, sum);
		return 1;
	}
	iov_to_buf(piece, count, 0, q->held, len); // what did not fit is there already
	give_back(q, 0);
	q->held_len = len;
	return deliver_held(q);
}

// One frame: 1, 0 (the tap has none) or as gather().
static int receive(struct xnet_queue *q)
{
	struct iovec piece[XNET_RX_SLOTS + 2];
	uint32_t want = pages_of(q->rx_want);

	if (q->held_len)
		return deliver_held(q);
	int err = gather(q, 1, want > 1 ? want + 1 : 1);
	if (err) {
		give_back(q, 0);
		return err;
	}
	uint32_t count = data_pieces(q->x, true, piece + 1), room = count * GNTTAB_PAGE;
	piece[0] = (struct iovec){ &q->header, XNET_HEADER };
	bool behind = room < XNET_FRAME_MAX;
	if (behind)
		piece[1 + count] = (struct iovec){ q->held + room, XNET_FRAME_MAX - room };
	else // no frame is longer, whoever sends it
		piece[count].iov_len -= room - XNET_FRAME_MAX;
	ssize_t len = tap_read(q->fd, piece, 1 + count + behind);
	if (len > XNET_HEADER)
		return deliver(q, piece + 1, count, (uint32_t)len - XNET_HEADER);
	give_back(q, 0);
	if (len == -EAGAIN)
		return 0;
	if (len <= 0 && tap_ended(q->fd, len)) {
		xnet_lost(q);
		return 0;
	}
	return drop(q);
}

void xnet_rx(struct xnet_queue *q)
{
	uint32_t left = XNET_BATCH;
	int got = 0;

	if (q->tap_handle < 0)
		return;
	q->rx_waits = false;
	if (q->rx_muted) {
		q->rx_muted = false;
		xnet_listen(q);
	}
	while (left && (got = receive(q)) > 0)
		left--;
	if (xring_show(&q->rx)) {
		q->x->counters.calls++;
		xenbytes_tell(q->link.rx_call);
	}
	if (got == -EAGAIN)
		q->x->counters.rx_waits++;
	else if (!left)
		xenbytes_tell(q->link.rx_kick);
}
