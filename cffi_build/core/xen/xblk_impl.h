// SPDX-License-Identifier: Apache-2.0
// Between the life (xblk.c) and the requests (xblk_request.c) of a Xen disk.
#ifndef VMM_XBLK_IMPL_H
#define VMM_XBLK_IMPL_H

#include "xblk.h"

enum {
	XBLK_ENTRY = 112, // bytes, on x86-64
	XBLK_ENTRY32 = 108,
};

// Takes requests from the ring until it is empty, or broken; none is begun yet.
void xblk_take(struct xblk_queue *q);

#endif
