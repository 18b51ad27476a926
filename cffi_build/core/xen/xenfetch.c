// SPDX-License-Identifier: Apache-2.0
#include "xenfetch.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#define PAGE_BYTES 4096

int xenfetch(const struct xenfetch *where, uint64_t linear, void *to, uint64_t length)
{
	uint8_t *at = to;

	// GUEST: the address, and its page tables. What wraps around is nowhere.
	if (length - 1 > (where->wide ? UINT64_MAX : UINT32_MAX) - linear)
		return -EFAULT;
	while (length) {
		uint64_t here = PAGE_BYTES - linear % PAGE_BYTES,
			 part = here < length ? here : length;
		struct kvm_translation t = { .linear_address = linear };
		if (ioctl(where->vcpu_fd, KVM_TRANSLATE, &t) || !t.valid ||
		    gmem_read(where->memory, where->dev, t.physical_address, at, part))
			return -EFAULT;
		linear += part;
		at += part;
		length -= part;
	}
	return 0;
}
