// SPDX-License-Identifier: Apache-2.0
// What a file says of itself.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // statx(2)
#endif
#include <fcntl.h>
#include <sys/stat.h>

#include "blk.h"

bool blk_direct_align(int fd, uint32_t *memory, uint32_t *block)
{
#ifdef STATX_DIOALIGN // Linux 6.1
	struct statx stat;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stat) &&
	    stat.stx_mask & STATX_DIOALIGN && stat.stx_dio_offset_align) {
		*memory = stat.stx_dio_mem_align;
		*block = stat.stx_dio_offset_align;
		return true;
	}
#endif
	return false;
}
