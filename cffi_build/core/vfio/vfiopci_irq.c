// SPDX-License-Identifier: Apache-2.0
// Interrupts: which of the device's eventfds VFIO has, as the guest's registers want it.
//
// A function delivers through INTx, MSI or MSI-X, one at a time. A vector that the guest masks
// later stays with VFIO: its eventfd then keeps the count (msix.h).
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include "vfiopci.h"

enum { BATCH = 64 }; // vectors in one request

// struct vfio_irq_set and what follows it.
struct irq_request {
	uint32_t argsz, flags, index, start, count;
	int32_t fd[BATCH];
};

_Static_assert(offsetof(struct irq_request, fd) == offsetof(struct vfio_irq_set, data),
	       "the request is a struct vfio_irq_set");

// VFIO_DEVICE_SET_IRQS with that many descriptors, or none. 0, -errno, or how many vectors the host
// has to give. Context: irq_lock held.
static int set_irqs(struct vfiopci *v, struct irq_request *r, uint32_t action, uint32_t index,
		    uint32_t start, uint32_t count)
{
	r->argsz = (uint32_t)(offsetof(struct irq_request, fd) + count * sizeof(r->fd[0]));
	r->flags = action | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	r->index = index;
	r->start = start;
	r->count = count;
	count_add(&v->connects, 1);
	int result = ioctl(v->fd, VFIO_DEVICE_SET_IRQS, r);
	if (result)
		count_add(&v->failures, 1);
	return result < 0 ? -errno : result;
}

static uint32_t index_of(uint32_t mode)
{
	static const uint32_t index[] = { [VFIOPCI_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
					  [VFIOPCI_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
					  [VFIOPCI_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX };
	return index[mode];
}

static uint32_t wanted(const struct vfiopci *v)
{
	if (v->held)
		return VFIOPCI_SILENT;
	if (v->msix && msix_enabled(v->msix))
		return VFIOPCI_MSIX;
	if (v->msi && msix_enabled(v->msi))
		return VFIOPCI_MSI;
	return v->trigger >= 0 ? VFIOPCI_INTX : VFIOPCI_SILENT;
}

static bool connected(const struct vfiopci *v, uint32_t vector)
{
	return v->connected[vector / 64] >> vector % 64 & 1;
}

// Gives VFIO the eventfds of [first, first + count); with `only_live` those that reach the guest.
static int connect_range(struct vfiopci *v, struct msix *m, uint32_t first, uint32_t count,
			 bool only_live)
{
	struct irq_request r;
	bool used[BATCH];

	for (uint32_t i = 0; i < count; i++) {
		const struct msix_vector *vector = &m->vector[first + i];
		used[i] = !only_live || vector->live;
		r.fd[i] = used[i] ? vector->fd : -1;
	}
	int result = set_irqs(v, &r, VFIO_IRQ_SET_ACTION_TRIGGER, index_of(v->mode), first, count);
	for (uint32_t i = 0; !result && i < count; i++)
		if (used[i])
			v->connected[(first + i) / 64] |= UINT64_C(1) << (first + i) % 64;
	return result;
}

// Context: the lock of `m` held, or nobody changes it.
static void connect_live(struct vfiopci *v, struct msix *m, uint32_t first, uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t i = first; i <= first + count; i++) {
		bool fresh = i < first + count && m->vector[i].live && !connected(v, i);
		if (fresh && ++run < BATCH)
			continue;
		uint32_t end = fresh ? i + 1 : i;
		if (run)
			connect_range(v, m, end - run, run, true);
		run = 0;
	}
}

static void enter_msi(struct vfiopci *v)
{
	// GUEST: how many messages it allows, no more than there are vectors
	uint32_t count = v->msi->messages < BATCH ? v->msi->messages : BATCH;
	int result = connect_range(v, v->msi, 0, count, false);

	// The host may have fewer to give, and says how many.
	if (result > 0 && (uint32_t)result < count)
		connect_range(v, v->msi, 0, (uint32_t)result, false);
}

// MSI-X is enabled with the first request, which says how many vectors there can be where none can
// be added later.
static void enter_msix(struct vfiopci *v)
{
	struct irq_request r = { .fd = { -1 } };
	uint32_t last = v->resizable ? 0 : v->msix->vectors - 1;
	int result = set_irqs(v, &r, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, last, 1);

	// The host may have fewer to give, and says how many.
	if (result > 0 && (uint32_t)result <= last)
		set_irqs(v, &r, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX,
			 (uint32_t)result - 1, 1);
}

static void enter_intx(struct vfiopci *v)
{
	struct irq_request r = { .fd = { v->trigger } };

	if (set_irqs(v, &r, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, 0, 1))
		return;
	r.fd[0] = v->resample;
	set_irqs(v, &r, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_PCI_INTX_IRQ_INDEX, 0, 1);
}

// Context: irq_lock held.
static void enter(struct vfiopci *v, uint32_t mode)
{
	struct irq_request r = { 0 };

	if (v->mode != VFIOPCI_SILENT)
		set_irqs(v, &r, VFIO_IRQ_SET_ACTION_TRIGGER, index_of(v->mode), 0, 0);
	memset(v->connected, 0, sizeof(v->connected));
	v->mode = mode;
	if (mode == VFIOPCI_MSIX)
		enter_msix(v);
	else if (mode == VFIOPCI_MSI)
		enter_msi(v);
	else if (mode == VFIOPCI_INTX)
		enter_intx(v);
}

static void update(struct vfiopci *v)
{
	uint32_t mode = wanted(v);

	if (mode == v->mode)
		return;
	enter(v, mode);
	if (mode == VFIOPCI_MSIX)
		connect_live(v, v->msix, 0, v->msix->vectors);
}

static void msix_changed(void *opaque, uint32_t first, uint32_t count)
{
	struct vfiopci *v = opaque;

	LOCKED(&v->irq_lock);
	update(v);
	if (v->mode == VFIOPCI_MSIX)
		connect_live(v, v->msix, first, count);
}

static void msi_changed(void *opaque, uint32_t first, uint32_t count)
{
	struct vfiopci *v = opaque;

	(void)first, (void)count;
	LOCKED(&v->irq_lock);
	update(v);
}

void vfiopci_vectors(struct vfiopci *v, struct msix *msi, struct msix *msix, bool resizable)
{
	v->msi = msi;
	v->msix = msix;
	v->resizable = resizable;
	if (msi)
		msix_set_source(msi, (struct msix_source){ msi_changed, v });
	if (msix)
		msix_set_source(msix, (struct msix_source){ msix_changed, v });
}

void vfiopci_intx(struct vfiopci *v, int trigger, int resample)
{
	LOCKED(&v->irq_lock);
	v->trigger = trigger;
	v->resample = resample;
	update(v);
}

void vfiopci_hold(struct vfiopci *v)
{
	LOCKED(&v->irq_lock);
	v->held = true;
	update(v);
}

void vfiopci_release(struct vfiopci *v)
{
	LOCKED(&v->irq_lock);
	v->held = false;
	update(v);
}

uint32_t vfiopci_mode(struct vfiopci *v)
{
	LOCKED(&v->irq_lock);
	return v->mode;
}
