// SPDX-License-Identifier: Apache-2.0
// Between the files of Xen's network device.
#ifndef VMM_XNET_IMPL_H
#define VMM_XNET_IMPL_H

#include "iov.h"
#include "tap.h"
#include "xenbytes.h"
#include "xnet.h"

enum {
	// NETTXF_* and NETRXF_*: the same bits
	XNETF_CSUM_BLANK = 1,
	XNETF_DATA_VALIDATED = 2,
	XNETF_MORE_DATA = 4,
	XNETF_EXTRA_INFO = 8,
	XNET_RSP_DROPPED = -2,
	XNET_RSP_ERROR = -1,
	XNET_RSP_OKAY = 0,
	XNET_RSP_NULL = 1,
	XNET_EXTRA_GSO = 1, // XEN_NETIF_EXTRA_TYPE_*
	XNET_EXTRA_TYPES = 6,
	XNET_EXTRA_MORE = 1,
	XNET_GSO_TCPV4 = 1, // XEN_NETIF_GSO_TYPE_*
	XNET_GSO_TCPV6 = 2,
	XNET_HEAD = 384, // bytes of a frame with all headers that are looked at
};

// struct xen_netif_extra_info, of the kind that says how to cut up a packet
struct xnet_extra {
	uint8_t type, flags;
	uint16_t size;
	uint8_t kind, pad;
	uint16_t features;
};

_Static_assert(sizeof(struct xnet_extra) == 8, "xen_netif_extra_info");

// Where things are in a frame of TCP or UDP over IP.
struct xnet_layers {
	bool ipv6, tcp, tagged; // tagged: for a VLAN
	uint16_t start, sum; // offset of TCP or UDP, and from there of its checksum
	uint16_t end; // of the headers
};

// xnet.c
// The guest broke the protocol, `why` an XNET_BAD_*: it is served no more. Returns -EIO.
int xnet_break(struct xnet *x, enum xnet_news why);
void xnet_tell(struct xnet *x, enum xnet_news what);
// What the loop looks for at the queue's fd.
void xnet_listen(struct xnet_queue *q);
void xnet_lost(struct xnet_queue *q);

// xnet_tx.c: whatever the guest has, until the tap takes no more.
void xnet_tx(struct xnet_queue *q);
// xnet_rx.c: whatever the tap has, until the guest has no room.
void xnet_rx(struct xnet_queue *q);

// xnet_frame.c
// Whether a frame that begins like this, `len` bytes of it, is TCP or UDP in one piece.
bool xnet_layers(const uint8_t *head, uint32_t len, struct xnet_layers *ret);
// Fills in a checksum that the header says is not there. False: not within the `len` bytes.
bool xnet_fill_sum(const struct iovec *piece, uint32_t count, uint32_t len,
		   const struct virtio_net_hdr_v1 *h);

#endif
