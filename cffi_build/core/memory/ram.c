// SPDX-License-Identifier: Apache-2.0
#include "ram.h"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // Linux 6.1; the C library's headers are older
#endif

int ram_map(int fd, uint64_t size, void **ret)
{
	// The kernel aligns shmem to huge pages only where policy asks for them: reserve more,
	// place it ourselves.
	uint64_t room = size + RAM_HUGE_PAGE;

	if (room < size)
		return -ENOMEM;
	uint8_t *base =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	uint64_t skip = -(uintptr_t)base & (RAM_HUGE_PAGE - 1);
	uint8_t *hva =
		mmap(base + skip, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (hva == MAP_FAILED) {
		int err = -errno;
		munmap(base, room);
		return err;
	}
	uint64_t end = (skip + size + 4095) & ~4095ULL;
	if (skip)
		munmap(base, skip);
	if (end < room)
		munmap(base + end, room - end);
	*ret = hva;
	return 0;
}

void ram_unmap(void *hva, uint64_t size)
{
	munmap(hva, size);
}

int ram_advise(void *hva, uint64_t size, int advice)
{
	return madvise(hva, size, advice) ? -errno : 0;
}

int64_t ram_collapse(void *hva, uint64_t start, uint64_t len)
{
	uint64_t first = (start + RAM_HUGE_PAGE - 1) & ~(RAM_HUGE_PAGE - 1);
	uint64_t end = (start + len) & ~(RAM_HUGE_PAGE - 1);

	for (uint64_t at = first; at < end; at += RAM_HUGE_PAGE) {
		// An empty extent is not collapsed; a read is enough to fill it. Never a write: the
		// guest may be writing there.
		(void)*(volatile uint8_t *)((uint8_t *)hva + at);
	}
	if (first >= end)
		return 0;
	if (madvise((uint8_t *)hva + first, end - first, MADV_COLLAPSE))
		return -errno;
	return (int64_t)(end - first);
}
