// SPDX-License-Identifier: Apache-2.0
// MSI-X vectors of a PCI function: table and pending bits (PCI 3.0, 6.8.2), each with an eventfd.
//
// Writing a vector's eventfd raises it, from any thread, another process or the kernel. While the
// vector is enabled and unmasked the eventfd is a KVM irqfd on the vector's GSI, which is routed to
// its message; while it is masked nobody takes the count away, and that is the pending bit. MSI
// uses the same vectors. Everything the guest does here stays in C.
#ifndef VMM_MSIX_H
#define VMM_MSIX_H

#include "dev.h"
#include "router.h"

enum msix_region {
	MSIX_TABLE, // 16 bytes a vector
	MSIX_PBA, // one bit a vector, in words of 8 bytes
};

enum {
	MSIX_MAX_VECTORS = 2048,
	MSIX_ENTRY_WORDS = 4, // message address low, high, message data, vector control
	MSIX_STATE_VERSION = 1,
};

#define MSIX_CONTROL_MASKED 1u // vector control, bit 0; the others are reserved

// Who else than KVM takes a vector's message. Called with the lock of `dev` held, on the thread of
// the vCPU that changed something; while `masked` the vector's eventfd must not be read.
struct msix_sink {
	void (*changed)(void *opaque, uint32_t vector, uint64_t address, uint32_t data,
			bool masked);
	void *opaque;
};

// Who makes eventfds count from outside, such as VFIO, and so wants to know which are of use.
// Called with the lock of `dev` held, after these vectors, or whether any is enabled, may have
// changed.
struct msix_source {
	void (*changed)(void *opaque, uint32_t first, uint32_t count);
	void *opaque;
};

struct msix_vector {
	uint32_t word[MSIX_ENTRY_WORDS];
	uint32_t gsi;
	int fd; // -1: unused, firing it does nothing
	_Atomic bool live; // its eventfd reaches the guest; changed under the lock of `dev`
	bool routed; // only inside a change
};

struct msix {
	struct dev dev;
	struct irq_router *router;
	int vm_fd; // -1: no KVM (tests): nothing takes the eventfds' counts
	uint32_t capability; // its offset in configuration space
	_Atomic bool enabled;
	bool function_mask;
	uint64_t failures; // messages that the kernel refused, or that are none
	struct msix_sink sink;
	struct msix_source source;
	_Atomic uint32_t messages; // MSI: how many the guest has allowed
	uint32_t vectors;
	struct msix_vector vector[];
};

struct msix_place {
	uint32_t table_bar, table_offset, pba_bar, pba_offset; // offsets: multiples of 8
};

struct msix_state {
	uint32_t version;
	uint32_t vectors;
	uint8_t enabled, function_mask;
	uint32_t table[MSIX_MAX_VECTORS * MSIX_ENTRY_WORDS];
	uint8_t pending[MSIX_MAX_VECTORS / 8];
};

// vectors: 1 to MSIX_MAX_VECTORS, else NULL with errno.
struct msix *msix_create(struct irq_router *r, int vm_fd, uint32_t vectors);
// Nobody fires any more.
void msix_destroy(struct msix *m);
// Disabled, all masked, nothing pending. Eventfds and GSIs stay.
void msix_reset(struct msix *m);
void msix_save(struct msix *m, struct msix_state *ret);
int msix_load(struct msix *m, const struct msix_state *state);

// Makes the vector usable, before anybody fires it: gives it a GSI of the router that nobody else
// uses, and an eventfd. 0, -EINVAL, -EBUSY (it has one) or eventfd()'s -errno.
int msix_set_gsi(struct msix *m, uint32_t vector, uint32_t gsi);
// Instead of routes and irqfds of its own; before the guest runs.
void msix_set_sink(struct msix *m, struct msix_sink sink);
// Before the guest runs.
void msix_set_source(struct msix *m, struct msix_source source);
// The control word of the capability changed. Context: any thread, m->dev.lock not held.
void msix_control(struct msix *m, bool enabled, bool function_mask);
// Whether interrupts go to the vectors at all. Any thread.
static inline bool msix_enabled(struct msix *m)
{
	return atomic_load_explicit(&m->enabled, memory_order_relaxed);
}

// Raises a vector; masked or disabled it becomes pending. Any thread, takes no lock. A vector that
// does not exist (VIRTIO_MSI_NO_VECTOR) or is unused does nothing.
void msix_fire(struct msix *m, uint32_t vector);
// The eventfd whose write does the same, for vhost and VFIO; -1 if the vector is unused.
int msix_fd(struct msix *m, uint32_t vector);
// Fired and not delivered: one bit for each of the vectors from `first` on, a multiple of 8.
uint32_t msix_pending(struct msix *m, uint32_t first);

struct pci_func;

// Adds the capability to a function that is not plugged yet: from then on what the guest writes to
// it arrives here. Table and PBA lie at these offsets of these base address registers. -ENOSPC (no
// room).
int msix_capability(struct msix *m, struct pci_func *f, const struct msix_place *place);
// The MSI capability instead, with 64-bit addresses and masks; up to 32 vectors, a power of two,
// else -EINVAL.
int msi_capability(struct msix *m, struct pci_func *f);
// Both again for a capability that stands in the function's registers, as some device has it, and
// keeps its place and shape: enabled and masked are no vectors at first.
int msix_adopt(struct msix *m, struct pci_func *f, uint32_t at);
int msi_adopt(struct msix *m, struct pci_func *f, uint32_t at);

#endif
