// SPDX-License-Identifier: Apache-2.0
// The state of a virtio console beside its rings'.
#include "vcon_impl.h"

void vcon_save(struct vcon *v, struct vcon_state *ret)
{
	const struct vcon_control *c = &v->control;

	*ret = (struct vcon_state){
		.version = VCON_STATE_VERSION,
		.ready = c->ready,
		.cols = c->cols,
		.rows = c->rows,
	};
	for (uint32_t id = 0; id < VCON_MAX_PORTS; id++) {
		ret->flags[id] = c->port[id].flags;
		ret->tell[id] = c->port[id].tell;
		ret->owed[id] = c->port[id].owed;
		ret->tx_taken[id] = v->port[id] ? v->port[id]->tx_taken : 0;
	}
}

int vcon_load(struct vcon *v, const struct vcon_state *state)
{
	struct vcon_control control = v->control;

	if (state->version != VCON_STATE_VERSION || state->ready > 1)
		return -EINVAL;
	control.ready = state->ready;
	control.cols = state->cols;
	control.rows = state->rows;
	for (uint32_t id = 0; id < VCON_MAX_PORTS; id++) {
		const struct vcon_control_port port = {
			.flags = state->flags[id],
			.tell = state->tell[id],
			.owed = state->owed[id],
		};
		if (!vcon_control_set(&control, id, &port))
			return -EINVAL;
		if (!v->port[id] && state->tx_taken[id])
			return -EINVAL;
	}
	v->control = control;
	for (uint32_t id = 0; id < VCON_MAX_PORTS; id++) {
		if (!v->port[id])
			continue;
		v->port[id]->tx_taken = state->tx_taken[id];
		v->port[id]->tx_waits = false;
	}
	return 0;
}
