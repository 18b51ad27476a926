// SPDX-License-Identifier: Apache-2.0
// Inside the split ring: shared by vq.c (life, used ring) and vq_pop.c (available ring,
// descriptors).
#ifndef VMM_VQ_IMPL_H
#define VMM_VQ_IMPL_H

#include <linux/virtio_ring.h>

#include "vq.h"

// Generations count from 0, so this is none: a broken queue takes the slow way everywhere.
#define GENERATION_BROKEN UINT64_MAX

// vq.c
COLD int vq_fail(struct vq *q, int err);
// Finds the rings in the memory map of now; 0 or why the queue is broken by that.
COLD int vq_translate(struct vq *q);
// vq_pop.c: reads the driver's index. The number of new chains, or -ERANGE.
int vq_look(struct vq *q);

// May the rings be used? Translates them again if the memory map has changed.
HOT bool vq_usable(struct vq *q)
{
	if (unlikely(q->generation != gmem_generation(q->mem)))
		return !q->broken && !vq_translate(q);
	return true;
}

#endif
