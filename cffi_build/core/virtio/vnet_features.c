// SPDX-License-Identifier: Apache-2.0
// What the network device offers, which features go together, what the tap is told of them.
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "vnet_impl.h"

static const struct {
	uint32_t guest, host, flag;
} offload[] = {
	{ VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_CSUM, TUN_F_CSUM },
	{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_HOST_TSO4, TUN_F_TSO4 },
	{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_HOST_TSO6, TUN_F_TSO6 },
	{ VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_HOST_ECN, TUN_F_TSO_ECN },
	{ VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_HOST_UFO, TUN_F_UFO },
};

int vnet_apply_offloads(struct vnet *n)
{
	uint64_t wanted = n->vdev.acked & n->offloads;
	unsigned long flags = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(offload); i++)
		flags |= wanted >> offload[i].guest & 1 ? offload[i].flag : 0;
	return n->tap && ioctl(n->pair[0].fd, TUNSETOFFLOAD, flags) ? -errno : 0;
}

uint64_t vnet_features(const struct vnet_setup *setup)
{
	uint64_t bits = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
			VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) |
			VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (setup->mtu)
		bits |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
	if (setup->pairs > 1)
		bits |= VIRTIO_BIT(VIRTIO_NET_F_MQ);
	for (uint32_t i = 0; i < ARRAY_LEN(offload) && setup->offloads & TUN_F_CSUM; i++) {
		if (setup->offloads & offload[i].flag)
			bits |= VIRTIO_BIT(offload[i].guest) | VIRTIO_BIT(offload[i].host) |
				VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	}
	return bits;
}

// Features and what each needs, one of them at least (5.1.3.1).
static const struct {
	uint32_t feature;
	uint64_t needs;
} rule[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_UFO, VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN,
	  VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) },
	{ VIRTIO_NET_F_HOST_TSO4, VIRTIO_BIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, VIRTIO_BIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_UFO, VIRTIO_BIT(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_ECN,
	  VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) },
	{ VIRTIO_NET_F_CTRL_RX, VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_MQ, VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) },
};

bool vnet_features_ok(struct virtio_dev *d, uint64_t acked)
{
	(void)d;
	for (uint32_t i = 0; i < ARRAY_LEN(rule); i++) {
		if (acked >> rule[i].feature & 1 && !(acked & rule[i].needs))
			return false;
	}
	return true;
}
