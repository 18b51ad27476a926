// SPDX-License-Identifier: Apache-2.0
// Between the life (xblk.c) and the requests (xblk_request.c) of a Xen disk.
#ifndef VMM_XBLK_IMPL_H
#define VMM_XBLK_IMPL_H

#include "xblk.h"

enum {
	// struct blkif_sring
	XBLK_REQ_PROD = 0,
	XBLK_REQ_EVENT = 4,
	XBLK_RSP_PROD = 8,
	XBLK_RSP_EVENT = 12,
	XBLK_FIRST = 64, // entry
	XBLK_ENTRY = 112, // bytes, on x86-64
};

// Takes requests from the ring until it is empty, or broken; none is begun yet.
void xblk_take(struct xblk *x);
// Shows the guest the answers that there are.
void xblk_show(struct xblk *x);
// Copies between the ring's pages, from byte `at` on, and memory of ours.
void xblk_ring_copy(struct xblk *x, uint32_t at, void *mine, uint32_t len, bool to_ring);
// A word of the ring's head.
uint32_t *xblk_word(struct xblk *x, uint32_t at);

#endif
