// SPDX-License-Identifier: Apache-2.0
// virtio network device (virtio 1.2, section 5.1): pairs of queues between a guest and a tap.
//
// A packet is a struct virtio_net_hdr_mrg_rxbuf and an Ethernet frame, on the host's side too: the
// tap has IFF_VNET_HDR and headers of VNET_HEADER bytes. Frames are read straight into the guest's
// buffers and written straight out of them; headers from the guest are checked in a copy, which is
// what the tap gets. Where the kernel has vhost it serves the rings instead (vnet_vhost.c).
//
// Nothing is read from the tap while the guest has no buffers, so that packets wait, and in the end
// are dropped, in the tap's own queue. A packet that turns out longer than the buffers at hand is
// held until more come; no chain stays with the device between two calls.
//
// Everything but the making and the counters happens on the device's loop.
#ifndef VMM_VNET_H
#define VMM_VNET_H

#include <linux/virtio_net.h>

#include "virtio.h"

enum {
	VNET_MAX_PAIRS = 16,
	VNET_QUEUE_SIZE = 256,
	VNET_CONTROL_SIZE = 64,
	VNET_HEADER = 12, // of VIRTIO_F_VERSION_1, with or without VIRTIO_NET_F_MRG_RXBUF
	// The longest packet: a header and what IP can say of its length behind an Ethernet header.
	VNET_PACKET_MAX = VNET_HEADER + 18 + 65535,
	VNET_BATCH = 64, // packets before other devices of the loop get their turn
	VNET_PIECES = 1023, // of one packet, with one more for the kernel's limit (IOV_MAX)
};

struct vnet_setup {
	struct gmem *mem;
	struct loop *loop;
	uint32_t pairs;
	int fd[VNET_MAX_PAIRS]; // of the tap's queues, non-blocking; the caller's
	int vhost_fd[VNET_MAX_PAIRS]; // -1: packets are moved here; owner is set, the caller's
	bool tap; // false: datagram sockets, whose peers get and give headers too
	uint32_t offloads; // TUN_F_* that the other side takes
	uint64_t allowed; // features that may be offered: without vhost all
	uint64_t vhost_features; // what it knows of those negotiated
	uint8_t mac[6];
	uint16_t mtu; // 0: not told to the driver
};

struct vnet_pair_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes; // bytes of frames, without headers
	uint64_t rx_dropped; // longer than all buffers of the guest together, or without a header
	uint64_t rx_waits; // times that the guest had no room
	uint64_t tx_dropped; // refused by the tap, or no frame
	uint64_t tx_bad_header;
	uint64_t tx_waits; // times that the tap took no more
};

struct vnet_counters {
	struct vnet_pair_counters all; // pairs that vhost serves count nothing
	uint64_t control, control_refused; // commands
	uint64_t lost; // taps that were taken away
	uint64_t vhost_rings; // served by the kernel now
};

// A ring that vhost may serve.
struct vnet_lent {
	struct vnet_pair *pair;
	uint32_t queue;
	bool lent;
	int vector_fd; // what vhost writes to interrupt; -1: call_fd
	int call_fd, call_handle; // where MSI-X cannot take vhost's eventfd
	int err_fd, err_handle;
};

struct vnet_pair {
	struct vnet *n;
	uint32_t rx_queue, tx_queue;
	int fd, vhost_fd;
	int handle; // the loop's source for fd; -1: none
	bool attached; // the tap gives this queue packets
	bool rx_waits; // for buffers: the next kick goes on
	bool rx_muted; // and the loop does not look at fd meanwhile
	bool tx_waits; // for the tap to take more
	uint32_t rx_want; // bytes of buffers that a packet probably needs
	uint32_t held_len; // a packet that waits for buffers
	struct vnet_lent ring[2]; // rx, tx
	_Atomic uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_dropped, rx_waited,
		tx_dropped, tx_bad_header, tx_waited;
	uint8_t held[VNET_PACKET_MAX];
};

// Buffers for one packet.
struct vnet_buffers {
	uint32_t chains, pieces;
	uint64_t room; // bytes
	struct {
		uint16_t head;
		uint64_t len;
	} chain[VNET_QUEUE_SIZE];
};

struct vnet {
	struct virtio_dev vdev;
	uint32_t pairs;
	bool tap, vhost;
	uint32_t active; // pairs that the driver uses
	uint64_t offloads; // VIRTIO_NET_F_GUEST_*, UINT64_MAX: as negotiated
	uint64_t vhost_features;
	uint64_t vhost_generation; // of the memory map that vhost knows
	int map_fd, map_handle; // written when that changes
	uint8_t mac[6];
	_Atomic uint64_t control, control_refused, lost;
	_Atomic uint32_t lent;
	struct vnet_buffers rx;
	struct iovec piece[VNET_PIECES + 1]; // of the packet at hand
	struct vnet_pair pair[];
};

// NULL with errno set.
struct vnet *vnet_create(const struct vnet_setup *setup);
// See virtio_deinit().
void vnet_destroy(struct vnet *n);
// Any thread.
void vnet_counters(struct vnet *n, struct vnet_counters *ret);

#define VNET_STATE_VERSION 1

// Beside the transport's and the rings' own.
struct vnet_state {
	uint32_t version;
	uint32_t active;
	uint64_t offloads;
};

// A packet that is held is lost: it is no more than one on the wire.
void vnet_save(struct vnet *n, struct vnet_state *ret);
// Into an idle device. -EINVAL: another version, or values that cannot be.
int vnet_load(struct vnet *n, const struct vnet_state *state);

#endif
