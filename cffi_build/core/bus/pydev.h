// SPDX-License-Identifier: Apache-2.0
// A bus device served by Python: its operations call out through a table that the binding fills in.
#ifndef VMM_PYDEV_H
#define VMM_PYDEV_H

#include "dev.h"

struct pydev_upcalls {
	int (*read)(void *handle, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret);
	int (*write)(void *handle, uint32_t region, uint64_t offset, uint32_t size, uint64_t value);
};

struct pydev {
	struct dev dev;
	struct pydev_upcalls up;
	void *handle; // Python's own token, opaque here
	_Atomic uint64_t upcalls;
	_Atomic uint64_t worst_ns; // longest upcall
};

struct pydev *pydev_create(struct pydev_upcalls up, void *handle);
void pydev_destroy(struct pydev *d);

struct pydev_counts {
	uint64_t upcalls, worst_ns;
};

void pydev_counts(struct pydev *d, struct pydev_counts *ret);

#endif
