// SPDX-License-Identifier: Apache-2.0
// Copies between a flat buffer and a chain's pieces of guest memory.
//
// GUEST: the bytes may change at any moment: parse the copy, never the pieces.
#ifndef VMM_IOV_H
#define VMM_IOV_H

#include <sys/uio.h>

#include "base.h"

// Copies up to len bytes that begin `offset` bytes into the pieces; returns how many there were.
size_t iov_to_buf(const struct iovec *piece, uint32_t count, size_t offset, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *piece, uint32_t count, size_t offset, const void *buf,
		    size_t len);

#endif
