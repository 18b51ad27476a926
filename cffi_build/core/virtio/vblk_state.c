// SPDX-License-Identifier: Apache-2.0
// What of a virtio disk is asked from outside: its size, its state, its counters.
#include "vblk.h"

void vblk_resize(struct vblk *v, uint64_t sectors)
{
	v->sectors = sectors;
	virtio_config_changed(&v->vdev, offsetof(struct virtio_blk_config, capacity), &sectors,
			      sizeof(sectors));
}

void vblk_save(struct vblk *v, struct vblk_state *ret)
{
	*ret = (struct vblk_state){
		.version = VBLK_STATE_VERSION,
		.sectors = v->sectors,
		.read_only = v->read_only,
	};
}

int vblk_load(struct vblk *v, const struct vblk_state *state)
{
	if (state->version != VBLK_STATE_VERSION || state->sectors != v->sectors ||
	    state->read_only != v->read_only)
		return -EINVAL;
	return 0;
}

void vblk_counters(struct vblk *v, struct vblk_counters *ret)
{
	*ret = (struct vblk_counters){
		.unsupported = count_get(&v->unsupported),
		.rejected = count_get(&v->rejected),
		.failed = count_get(&v->failed),
	};
}
