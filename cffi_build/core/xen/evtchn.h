// SPDX-License-Identifier: Apache-2.0
// The 2-level event channel bitmaps of a Xen domain's shared_info page (xen/include/public/xen.h,
// struct shared_info): words that the guest, KVM and the VMM change at the same time.
//
// Bit n of either bitmap is bit n % 32 of its 32-bit word n / 32, whatever the guest's word size.
#ifndef VMM_EVTCHN_H
#define VMM_EVTCHN_H

#include "gmem.h"

enum {
	EVTCHN_PENDING = 0x800, // offset of evtchn_pending, both layouts
	EVTCHN_MASK32 = 0x880, // offset of evtchn_mask, 32-bit guests
	EVTCHN_MASK64 = 0xa00,
	EVTCHN_PORTS32 = 1024,
	EVTCHN_PORTS64 = 4096,
};

struct evtchn {
	struct gmem *memory;
	struct gmem_dev *dev;
	uint64_t page; // guest-physical address of shared_info
	bool wide; // a 64-bit guest's layout
};

// All: -EINVAL for a port beyond the bitmaps, -EFAULT if the page is no memory.

// Clears the pending bit (release). Whether it was set.
int evtchn_clear_pending(const struct evtchn *e, uint32_t port);
// Clears the mask bit, then the pending bit (sequentially consistent, against a sender that sets
// pending and then looks at the mask). Whether it was pending: the event has to be sent again,
// which sets the bit and tells the guest.
int evtchn_unmask(const struct evtchn *e, uint32_t port);
// Clears the pending bit of a port that is not masked; 1 if there was such an event to send again.
int evtchn_take(const struct evtchn *e, uint32_t port);
// Sets the pending bit (sequentially consistent, against an unmasker). What evtchn_look() would
// have said before.
int evtchn_set_pending(const struct evtchn *e, uint32_t port);
// Bit 0: pending; bit 1: masked.
int evtchn_look(const struct evtchn *e, uint32_t port);

#endif
