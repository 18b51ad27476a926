// SPDX-License-Identifier: Apache-2.0
// A host that has fewer MSI-X vectors to give than the device has, and where none can be added
// later: it says how many, and is asked for those. vfiopci_irq.c is part of this program, so that
// such a host can answer.
#include <sys/ioctl.h>

#include "check.h"

static int host_ioctl(int fd, unsigned long request, void *argument);

#define ioctl host_ioctl
#include "vfiopci_irq.c"
#undef ioctl

enum { VECTORS = 8, GIVEN = 3, VM = -1 };

static uint32_t on; // how many vectors the host has enabled
static uint64_t eventfds; // it has been given
static uint32_t refused;

static int host_ioctl(int fd, unsigned long request, void *argument)
{
	const struct irq_request *r = argument;

	(void)fd;
	CHECK(request == VFIO_DEVICE_SET_IRQS && r->index == VFIO_PCI_MSIX_IRQ_INDEX);
	if (!r->count) {
		on = 0;
		return 0;
	}
	if (!on && r->start + r->count > GIVEN) {
		refused++;
		return GIVEN;
	}
	if (!on)
		on = r->start + r->count;
	if (r->start + r->count > on) {
		refused++;
		errno = EINVAL;
		return -1;
	}
	for (uint32_t i = 0; i < r->count; i++)
		if (r->fd[i] >= 0)
			eventfds |= UINT64_C(1) << (r->start + i);
	return 0;
}

int main(void)
{
	struct vfiopci v = { .held = true, .trigger = -1, .resample = -1 };
	struct irq_router *router = router_create(-1);
	struct msix *m = msix_create(router, VM, VECTORS);

	CHECK(router && m);
	lock_init(&v.irq_lock);
	vfiopci_vectors(&v, NULL, m, false);
	msix_control(m, true, true);
	for (uint32_t i = 0; i < VECTORS; i++)
		m->vector[i].fd = 100 + (int)i;
	m->vector[1].live = true;
	vfiopci_release(&v);
	CHECK(v.mode == VFIOPCI_MSIX);
	CHECK(on == GIVEN && refused == 1);
	CHECK(eventfds == 1u << 1 && connected(&v, 1));

	m->vector[VECTORS - 1].live = true; // one that the host does not give
	msix_changed(&v, VECTORS - 1, 1);
	CHECK(refused == 2 && !connected(&v, VECTORS - 1));
	m->vector[2].live = true;
	msix_changed(&v, 2, 1);
	CHECK(eventfds == (1u << 1 | 1u << 2) && connected(&v, 2));

	for (uint32_t i = 0; i < VECTORS; i++)
		m->vector[i].fd = -1;
	msix_destroy(m);
	router_destroy(router);
	printf("%u vectors\n", on);
	return 0;
}
