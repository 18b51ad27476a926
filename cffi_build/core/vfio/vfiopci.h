// SPDX-License-Identifier: Apache-2.0
// A PCI function of the host, given to the guest through VFIO: what of it does not run without us.
//
// Most registers in base address ranges are memory slots and most interrupts go from eventfd to
// irqfd, so neither comes here. Left are accesses to what cannot be mapped, configuration space, of
// which the device keeps what is not ours to emulate, and the guest's changes of how interrupts are
// delivered. All device accesses are pread() and pwrite() of VFIO's descriptor, which the kernel
// makes accesses of that width: a device that dies then fails them instead of killing the process.
//
// None is made with a lock held, as one can take long (a function level reset takes 100 ms and
// more), but for those to the command register.
//
// Lock order: root or vectors (msix.h), then irq_lock, a leaf.
#ifndef VMM_VFIOPCI_H
#define VMM_VFIOPCI_H

#include "msix.h"
#include "pci.h"

enum {
	VFIOPCI_WINDOWS = 32, // trapped ranges
};

enum vfiopci_mode {
	VFIOPCI_SILENT,
	VFIOPCI_INTX,
	VFIOPCI_MSI,
	VFIOPCI_MSIX,
};

struct vfiopci {
	struct dev dev; // trapped ranges; its regions are windows
	int fd; // VFIO's, of the device; the caller closes it
	uint32_t windows;
	uint64_t window[VFIOPCI_WINDOWS]; // where each begins in fd
	struct pci_func *func;
	uint64_t config; // where configuration space begins in fd
	uint8_t pass[PCI_CONFIG_SIZE]; // the device's own bytes: 1
	_Atomic uint64_t reads, writes; // of trapped ranges
	_Atomic uint64_t config_reads, config_writes; // that went on to the device
	_Atomic uint64_t failures; // requests that the kernel refused
	struct lock irq_lock; // guards what follows
	bool held; // no interrupts, whatever the guest wants
	bool resizable; // MSI-X vectors can be added to enabled ones
	uint32_t mode; // enum vfiopci_mode
	int trigger, resample; // INTx, or -1
	struct msix *msi, *msix; // or NULL
	uint64_t connected[MSIX_MAX_VECTORS / 64]; // vectors whose eventfds VFIO has
	_Atomic uint64_t connects; // requests for interrupts
};

struct vfiopci_counts {
	uint64_t reads, writes, config_reads, config_writes, connects, failures;
};

struct vfiopci *vfiopci_create(int fd);
// Unplugged and silent.
void vfiopci_destroy(struct vfiopci *v);
void vfiopci_counts(struct vfiopci *v, struct vfiopci_counts *ret);

// --- building; before the function is plugged

// The dev region with which a piece that begins at `at` in fd is to be claimed, or -ENOSPC.
int vfiopci_window(struct vfiopci *v, uint64_t at);
// Makes `bytes` the function's configuration space, in which the guest finds the device's own value
// wherever `pass` is not 0. len: PCI_CONFIG_CLASSIC or PCI_CONFIG_SIZE. `at`: where it is in fd.
int vfiopci_adopt(struct vfiopci *v, struct pci_func *f, uint64_t at, const uint8_t *bytes,
		  const uint8_t *pass, uint32_t len);
// Vectors of the function, either may be NULL; they outlive vfiopci_hold().
void vfiopci_vectors(struct vfiopci *v, struct msix *msi, struct msix *msix, bool resizable);

// --- interrupts; any thread

// The level interrupt's eventfds (intx.h). For a device without, -1.
void vfiopci_intx(struct vfiopci *v, int trigger, int resample);
// Takes all interrupts away and keeps them away until release, which brings those that the
// registers ask for. It begins held.
void vfiopci_hold(struct vfiopci *v);
void vfiopci_release(struct vfiopci *v);
// enum vfiopci_mode
uint32_t vfiopci_mode(struct vfiopci *v);

#endif
