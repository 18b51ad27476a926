// SPDX-License-Identifier: Apache-2.0
// Between the files of the network device. Everything is called on the loop's thread.
#ifndef VMM_VNET_IMPL_H
#define VMM_VNET_IMPL_H

#include "iov.h"
#include "vnet.h"

enum {
	VNET_WANT_LEAST = VNET_HEADER + 1514, // bytes of buffers for a packet of unknown length
};

#define VNET_GUEST_OFFLOADS                                                                        \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) |                \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO))

static inline struct virtio_dev *vnet_dev(struct vnet_pair *p)
{
	return &p->n->vdev;
}

// vnet.c
// What the loop looks for at the pair's fd.
void vnet_listen(struct vnet_pair *p);
// The tap is gone: nothing more is asked of it, and the link is down.
void vnet_lost(struct vnet_pair *p);
// Tells the tap which pairs are used. 0 or -errno.
int vnet_apply_pairs(struct vnet *n);

// vnet_features.c
// What to offer with such a tap.
uint64_t vnet_features(const struct vnet_setup *setup);
bool vnet_features_ok(struct virtio_dev *d, uint64_t acked);
// Tells the tap what the guest takes. 0 or -errno.
int vnet_apply_offloads(struct vnet *n);

// vnet_rx.c: whatever the tap has, until the guest has no room.
void vnet_rx(struct vnet_pair *p);
// vnet_tx.c: whatever the guest has, until the tap takes no more.
void vnet_tx(struct vnet_pair *p);
// Whether the driver may say this of a frame of `len` bytes; bounds what may be anything. GUEST:
// `h` is a copy of what it wrote.
bool vnet_header_ok(const struct virtio_dev *d, struct virtio_net_hdr_v1 *h, uint64_t len);

// vnet_control.c: commands from the driver.
void vnet_control(struct vnet *n, uint32_t queue);

// vnet_vhost.c
// Tells vhost features and memory, which is watched from here on. 0 or -errno.
int vnet_vhost_start(struct vnet *n);
// Takes all back and watches no more.
void vnet_vhost_stop(struct vnet *n);
// Leaves a live ring to vhost, unless it has it.
void vnet_vhost_lend(struct vnet_lent *r);
// Takes it back, where it stands; nothing of it is used any more.
void vnet_vhost_reclaim(struct vnet_lent *r);
void vnet_vhost_reclaim_all(struct vnet *n);
// The transport lets the device do something else: takes all back, or has vhost interrupt
// elsewhere.
void vnet_vhost_follow(struct vnet *n);

#endif
