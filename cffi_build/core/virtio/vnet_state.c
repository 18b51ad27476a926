// SPDX-License-Identifier: Apache-2.0
// Counters and saved state of the network device.
#include "vnet_impl.h"

void vnet_counters(struct vnet *n, struct vnet_counters *ret)
{
	*ret = (struct vnet_counters){
		.control = count_get(&n->control),
		.control_refused = count_get(&n->control_refused),
		.lost = count_get(&n->lost),
		.vhost_rings = atomic_load(&n->lent),
	};
	for (uint32_t i = 0; i < n->pairs; i++) {
		const struct vnet_pair *p = &n->pair[i];
		ret->all.rx_packets += count_get(&p->rx_packets);
		ret->all.rx_bytes += count_get(&p->rx_bytes);
		ret->all.rx_dropped += count_get(&p->rx_dropped);
		ret->all.rx_waits += count_get(&p->rx_waited);
		ret->all.tx_packets += count_get(&p->tx_packets);
		ret->all.tx_bytes += count_get(&p->tx_bytes);
		ret->all.tx_dropped += count_get(&p->tx_dropped);
		ret->all.tx_bad_header += count_get(&p->tx_bad_header);
		ret->all.tx_waits += count_get(&p->tx_waited);
	}
}

void vnet_save(struct vnet *n, struct vnet_state *ret)
{
	*ret = (struct vnet_state){
		.version = VNET_STATE_VERSION,
		.active = n->active,
		.offloads = n->offloads,
	};
}

int vnet_load(struct vnet *n, const struct vnet_state *state)
{
	if (state->version != VNET_STATE_VERSION || !state->active || state->active > n->pairs)
		return -EINVAL;
	if (state->offloads != UINT64_MAX && state->offloads & ~VNET_GUEST_OFFLOADS)
		return -EINVAL;
	n->active = state->active;
	n->offloads = state->offloads;
	return 0;
}
