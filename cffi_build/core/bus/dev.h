// SPDX-License-Identifier: Apache-2.0
// The face that every bus device shows to the bus.
//
// A device embeds `struct dev` as its first member. The bus takes `lock` before it calls ops, the
// loop before it calls a handler of the device; it is never held over an upcall, a wait or a
// blocking system call, and a device never takes another device's lock. The one exception is the
// irqchip, the leaf of the lock order: raising a line from inside a device locks the chip (irq.h).
// And the lock of a PCI root is held over accesses to the configuration space of a function of the
// host (vfiopci.h), which may block.
#ifndef VMM_DEV_H
#define VMM_DEV_H

#include "base.h"

struct dev;

// What a device asks the machine to do. A positive return value of an operation is one of these;
// the access is then complete and vcpu_run() returns VCPU_DEVICE with the code, address and value.
enum dev_event {
	DEV_EVENT_POWER_OFF = 1, // ACPI sleep state S5
	DEV_EVENT_RESET, // reset register, 0x92, i8042, ...
	DEV_EVENT_DEBUG_EXIT, // isa-debug-exit; the value is what the guest wrote
	DEV_EVENT_PANIC, // pvpanic: guest panicked
	DEV_EVENT_CRASH_LOADED, // pvpanic: the guest panicked and a crash kernel goes on
	DEV_EVENT_SLEEP, // another ACPI sleep state; the value is SLP_TYP
	DEV_EVENT_REMAP, // pc-testdev asks to have the page at `value` unmapped and mapped again
	DEV_EVENT_MARK, // port 0x80: boot mark `value` (only when marks are recorded in Python)
	DEV_EVENT_EJECT, // PCI hot-plug: the guest let go of the slots that are bits of `value`
	DEV_EVENT_UNPLUG, // Xen's platform ports: the guest wants none of the devices in `value`
	DEV_EVENT_HYPERCALL, // the access is a hypercall; Python hears of VCPU_XEN, if of anything
};

// region: the number given when the range was claimed, for devices with several ranges.
// offset: from the start of that range. size: 1, 2, 4 or 8; offset + size lies within the range.
// Return 0, a positive enum dev_event, or -errno (only an upcall's failure: -ECANCELED).
// read: *ret holds all-ones on entry; bits above size are ignored.
struct dev_ops {
	int (*read)(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret);
	int (*write)(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		     uint64_t value);
	// Optional, together: `count` one-byte writes to the same offset, as write() would take
	// them one by one, for devices whose writes ask for nothing. An interrupt that follows may
	// wait until the next access or settle(), which comes right after the access before which
	// the bytes were drained: most often that access takes the interrupt back, and neither edge
	// costs anything.
	void (*write_burst)(struct dev *d, uint32_t region, uint64_t offset, const uint8_t *bytes,
			    uint32_t count);
	void (*settle)(struct dev *d);
};

enum {
	DEV_UPCALL = 1, // served by Python, or taking its own locks: called without the lock
	// 8-bit registers: the bus cuts wider accesses into bytes, lowest address first.
	DEV_BYTES = 2,
};

struct dev {
	struct lock lock;
	const struct dev_ops *ops;
	uint32_t flags;
};

static inline void dev_init(struct dev *d, const struct dev_ops *ops, uint32_t flags)
{
	lock_init(&d->lock);
	d->ops = ops;
	d->flags = flags;
}

static inline void dev_deinit(struct dev *d)
{
	(void)d;
}

#endif
