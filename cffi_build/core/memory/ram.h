// SPDX-License-Identifier: Apache-2.0
// Mapping a memfd as guest RAM, aligned so that huge pages fit both sides of the translation.
#ifndef VMM_RAM_H
#define VMM_RAM_H

#include "base.h"

#define RAM_HUGE_PAGE (2ULL << 20)

// Maps all `size` bytes of fd, shared, at a multiple of RAM_HUGE_PAGE. 0 or -errno.
int ram_map(int fd, uint64_t size, void **ret);
void ram_unmap(void *hva, uint64_t size);
// madvise() on a whole mapping. 0 or -errno.
int ram_advise(void *hva, uint64_t size, int advice);
// Puts huge pages under [start, start + len) of a mapping now, whatever the host's policy for shmem
// (MADV_COLLAPSE, Linux 6.1). Only whole huge pages are touched. Returns how many bytes have one,
// or -errno.
int64_t ram_collapse(void *hva, uint64_t start, uint64_t len);

#endif
