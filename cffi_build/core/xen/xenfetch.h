// SPDX-License-Identifier: Apache-2.0
// What an argument of a hypercall points to: it is a linear address of the vCPU that makes it.
#ifndef VMM_XENFETCH_H
#define VMM_XENFETCH_H

#include "gmem.h"

// Where calls that are answered in C look.
struct xenfetch {
	struct gmem *memory;
	struct gmem_dev *dev;
	int vcpu_fd;
	bool wide; // the call was made in 64-bit mode
};

// Context: the vCPU's own thread, in the exit. length > 0. 0 or -EFAULT.
int xenfetch(const struct xenfetch *where, uint64_t linear, void *to, uint64_t length);

#endif
