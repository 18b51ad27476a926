// SPDX-License-Identifier: Apache-2.0
// Between the device's life (vblk.c) and its requests (vblk_request.c).
#ifndef VMM_VBLK_IMPL_H
#define VMM_VBLK_IMPL_H

#include "vblk.h"

// Takes requests from the ring until it is empty, or broken; none is begun yet.
void vblk_take(struct vblk *v, uint32_t queue);
// Gives a request back to the driver.
void vblk_finish(struct vblk_request *r, uint8_t status);

#endif
