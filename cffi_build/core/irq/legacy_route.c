// SPDX-License-Identifier: Apache-2.0
#include "legacy_route.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

// The in-kernel PIT has a flag for this.
static void silence_kernel_pit(int vm_fd, int on)
{
	struct kvm_pit_state2 state;

	if (vm_fd < 0 || ioctl(vm_fd, KVM_GET_PIT2, &state) < 0)
		return; // no PIT, so nothing to silence
	state.flags = on ? state.flags | KVM_PIT_FLAGS_HPET_LEGACY
			 : state.flags & ~(uint32_t)KVM_PIT_FLAGS_HPET_LEGACY;
	ioctl(vm_fd, KVM_SET_PIT2, &state);
}

// Context: the HPET's lock is held. Lock order: HPET, then PIT or RTC, then the hub; neither of the
// two ever calls the HPET.
static void silence(void *opaque, int on)
{
	struct legacy_route *r = opaque;

	if (r->pit)
		pit_set_irq_off(r->pit, on);
	else
		silence_kernel_pit(r->vm_fd, on);
	if (r->rtc)
		rtc_set_irq_off(r->rtc, on);
}

struct legacy_route *legacy_route_create(struct hpet *hpet, struct pit *pit, struct rtc *rtc,
					 int vm_fd)
{
	struct legacy_route *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct legacy_route){ .pit = pit, .rtc = rtc, .vm_fd = vm_fd };
	hpet_set_legacy(hpet, silence, r);
	return r;
}

void legacy_route_destroy(struct legacy_route *r)
{
	free(r);
}
