// SPDX-License-Identifier: Apache-2.0
// HPET legacy replacement: while it is on, the timers that own GSIs 0 and 8 otherwise raise
// nothing.
#ifndef VMM_LEGACY_ROUTE_H
#define VMM_LEGACY_ROUTE_H

#include "hpet.h"
#include "pit.h"
#include "rtc.h"

struct legacy_route {
	struct pit *pit; // NULL: the in-kernel one of vm_fd
	struct rtc *rtc; // NULL: none
	int vm_fd; // -1: no in-kernel PIT either
};

// hpet, pit and rtc outlive it, or the HPET goes first. NULL: no memory.
struct legacy_route *legacy_route_create(struct hpet *hpet, struct pit *pit, struct rtc *rtc,
					 int vm_fd);
void legacy_route_destroy(struct legacy_route *r);

#endif
