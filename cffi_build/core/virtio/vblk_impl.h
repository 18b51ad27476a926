// SPDX-License-Identifier: Apache-2.0
// Between the making (vblk_make.c), the life (vblk.c) and the requests (vblk_request.c) of a disk.
#ifndef VMM_VBLK_IMPL_H
#define VMM_VBLK_IMPL_H

#include "vblk.h"

extern const struct virtio_ops vblk_ops;
// What follows when requests have ended: see blk_connect().
void vblk_batch(void *opaque);
// Takes requests from the ring until it is empty, or broken; none is begun yet.
void vblk_take(struct vblk *v, uint32_t queue);
// Gives a request back to the driver.
void vblk_finish(struct vblk_request *r, uint8_t status);

#endif
