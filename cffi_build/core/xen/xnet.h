// SPDX-License-Identifier: Apache-2.0
// Xen's network device, the back-end's side (xen/include/public/io/netif.h): pairs of rings between
// a guest and the queues of a tap.
//
// Frames are written straight out of the pages that the guest grants and read straight into them;
// nothing is granted to us between two calls but the rings. What Xen's protocol and the virtio_net
// headers of the tap say of checksums and of packets to be cut up is carried from one to the other.
// A packet that turns out longer than the pages at hand is held until more come.
//
// Everything but the making and the counters happens on the loop's thread, or while nobody is
// inside the loop.
#ifndef VMM_XNET_H
#define VMM_XNET_H

#include <linux/virtio_net.h>

#include "loop.h"
#include "xring.h"

enum {
	XNET_MAX_QUEUES = 16,
	XNET_RING = 256, // entries of each ring, which is one page
	XNET_HEADER = 12, // of the tap
	XNET_FRAME_MAX = 18 + 65535,
	// Pages of a frame from the guest: what Xen's own back-end takes before it calls it malice.
	XNET_TX_SLOTS = 20,
	XNET_EXTRAS = 8, // further words about one frame
	XNET_RX_SLOTS = (XNET_FRAME_MAX + GNTTAB_PAGE - 1) / GNTTAB_PAGE + 1,
	XNET_BATCH = 64, // packets before other devices of the loop get their turn
	// Posted with the device as source; value: an XNET_BAD_* or another of the following.
	XNET_EVENT = LOOP_USER + 43,
	// What the guest's driver takes; see xnet_connect().
	XNET_SG = 1, // frames of several pages
	XNET_CSUM4 = 2, // that lack the checksum of TCP or UDP
	XNET_CSUM6 = 4,
	XNET_TSO4 = 8, // and are to be cut up
	XNET_TSO6 = 16,
};

// What ends the service, and what does not.
enum xnet_news {
	XNET_BAD_INDEX = 1, // of a ring
	XNET_BAD_SLOTS, // a frame of too many pages, or whose end is missing
	XNET_BAD_SIZE, // pieces that are longer than the frame, or than a page
	XNET_BAD_EXTRA,
	XNET_BAD_GSO,
	XNET_LOST, // the tap was taken away
	XNET_REFUSED, // frames: a wild grant, or what cannot be sent
};

struct xnet;

// The guest's end of one pair, as its driver says.
struct xnet_link {
	uint32_t tx_ref, rx_ref;
	int tx_kick, tx_call, rx_kick, rx_call; // eventfds; both kicks may be one
};

struct xnet_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_gso, tx_gso; // packets to be cut up
	uint64_t rx_summed; // whose checksum had to be made here
	uint64_t rx_dropped; // longer than the guest takes, or of a kind that it does not
	uint64_t rx_waits, tx_waits; // times that the guest had no room, that the tap took no more
	uint64_t tx_dropped; // refused by the tap, or no frame
	uint64_t refused; // wild grants
	uint64_t broken; // times that the guest broke the protocol
	uint64_t kicks, calls;
	uint64_t lost; // taps
};

struct xnet_setup {
	struct gnttab *grants;
	struct loop *loop;
	uint32_t queues;
	int fd[XNET_MAX_QUEUES]; // of the tap, non-blocking; the caller's
	bool tap; // false: datagram sockets
};

// An entry of the receive ring whose page is mapped.
struct xnet_slot {
	uint16_t id;
	uint32_t ref;
	uint8_t *page;
};

struct xnet_queue {
	struct xnet *x;
	int fd;
	struct xring tx, rx;
	struct xnet_link link;
	int tap_handle, tx_handle, rx_handle; // of the loop; -1: none
	bool live;
	bool tx_waits; // for the tap to take more
	bool rx_waits; // for the guest's pages
	bool rx_muted; // and the loop does not look at fd meanwhile
	uint32_t rx_want; // bytes that the next frame probably has
	uint32_t held_len; // a frame that waits for pages
	struct virtio_net_hdr_v1 header; // its, or the last one's
	uint8_t held[XNET_FRAME_MAX];
};

struct xnet {
	struct gnttab *grants;
	struct loop *loop;
	uint32_t queues;
	bool tap, paused, broken;
	uint32_t takes; // XNET_SG and so on
	struct xnet_counters counters;
	uint32_t slots; // of the frame at hand
	struct xnet_slot slot[XNET_RX_SLOTS];
	struct xnet_queue queue[];
};

// NULL with errno set.
struct xnet *xnet_create(const struct xnet_setup *setup);
// Disconnected before.
void xnet_destroy(struct xnet *x);
// Serves one more pair of rings with the queue of that number, and from here on what the driver
// says it takes. -EINVAL, -EBUSY and what gnttab_map() has; then nothing of this pair is mapped.
int xnet_connect(struct xnet *x, uint32_t queue, const struct xnet_link *link, uint32_t takes);
// Nothing of the guest's is used any more. May be repeated.
void xnet_disconnect(struct xnet *x);
// Leaves guest memory as it is until the next call with false.
void xnet_pause(struct xnet *x, bool paused);
void xnet_counters(struct xnet *x, struct xnet_counters *ret);

#endif
