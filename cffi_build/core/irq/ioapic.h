// SPDX-License-Identifier: Apache-2.0
// An 82093AA I/O APIC, with the EOI register of version 0x20 and 24 or 48 pins.
//
// The split irqchip's: an interrupt leaves as an MSI write, and the LAPICs in the kernel tell about
// a level-triggered vector's EOI by KVM_EXIT_IOAPIC_EOI, for vectors that the VM's routing table
// names. The chip therefore publishes the pins' messages in the router. The polarity bit is only
// stored: lines carry "asserted" or not. An edge on a masked pin is lost (data sheet, 3.2.4).
#ifndef VMM_IOAPIC_H
#define VMM_IOAPIC_H

#include "dev.h"
#include "router.h"

enum {
	IOAPIC_MAX_PINS = 48,
	IOAPIC_VERSION = 0x20,
	IOAPIC_STATE_VERSION = 1,
};

// Redirection entry (82093AA, 3.2.4).
#define IOAPIC_RTE_VECTOR 0xffull
#define IOAPIC_RTE_DELIVERY_SHIFT 8 // 3 bits
#define IOAPIC_RTE_LOGICAL (1ull << 11)
#define IOAPIC_RTE_PENDING (1ull << 12) // delivery status: always idle here
#define IOAPIC_RTE_LOW (1ull << 13) // polarity
#define IOAPIC_RTE_REMOTE_IRR (1ull << 14)
#define IOAPIC_RTE_LEVEL (1ull << 15)
#define IOAPIC_RTE_MASKED (1ull << 16)
#define IOAPIC_RTE_DEST_SHIFT 56

// A pin's interrupt as an MSI.
struct ioapic_route {
	uint64_t address;
	uint32_t data;
	uint32_t masked;
	uint64_t delivered;
};

struct ioapic {
	struct dev dev;
	uint32_t pins;
	uint32_t select; // index register
	uint32_t id; // bits 27 to 24
	uint64_t lines; // present levels
	uint64_t held; // pins that are high until their EOI as well
	uint64_t rte[IOAPIC_MAX_PINS];
	// Told of the EOI of a pin's level interrupt.
	void (*ended)(void *opaque, uint32_t pin);
	void *ended_opaque;
	// Sends a message. > 0: a LAPIC took it; 0: none did; -errno.
	int (*msi)(void *opaque, uint64_t address, uint32_t data);
	void *opaque;
	struct irq_router *router; // NULL: routes are not published
	uint64_t route_failures; // commits that the kernel refused
	uint64_t delivered[IOAPIC_MAX_PINS]; // messages that a LAPIC took
};

struct ioapic_state {
	uint32_t version;
	uint32_t pins;
	uint32_t select, id;
	uint64_t lines;
	uint64_t rte[IOAPIC_MAX_PINS];
};

// pins: 24 or 48; else NULL.
struct ioapic *ioapic_create(uint32_t pins);
void ioapic_destroy(struct ioapic *a);
// All pins masked. The inputs keep their level, resample fds stay.
void ioapic_reset(struct ioapic *a);
void ioapic_save(struct ioapic *a, struct ioapic_state *ret);
int ioapic_load(struct ioapic *a, const struct ioapic_state *state);

// After a load, when the LAPICs have their state too: ends the interrupts that no LAPIC holds any
// more. The guest had ended them, but was stopped before KVM could say so by KVM_EXIT_IOAPIC_EOI,
// and nothing would again. held: a bit for each vector that a LAPIC has accepted as level-triggered
// and not ended. An exit that the machine still owes from before the load ends an interrupt early
// at worst: the guest sees one more.
void ioapic_reconcile(struct ioapic *a, const uint8_t *held);

// msi is called with the chip's lock held, on any thread: it must not call back.
void ioapic_set_msi(struct ioapic *a, int (*msi)(void *, uint64_t, uint32_t), void *opaque);
// Messages go out by KVM_SIGNAL_MSI on the VM.
void ioapic_use_kvm(struct ioapic *a, int vm_fd);
// Messages of unmasked level-triggered pins are kept as GSIs 0 to pins - 1 of `router`, committed
// before the guest's write is complete, so that KVM reports their EOIs. A pin's route stays while
// it is masked: its last interrupt may still wait for the EOI. Edge-triggered pins have no route,
// so irqfds cannot drive pins. router outlives the chip or is taken away with NULL.
void ioapic_set_router(struct ioapic *a, struct irq_router *router);

// An input. Called by the hub; any thread.
void ioapic_set_line(struct ioapic *a, uint32_t pin, int level);
// EOI of a level-triggered vector, from a LAPIC: takes the remote IRR off matching pins, lets go of
// those that were held, tells `ended`, and sends again where the line is still high.
void ioapic_eoi(struct ioapic *a, uint8_t vector);
// The pin is high until its EOI, whatever its line does; or not any more. Any thread.
void ioapic_hold(struct ioapic *a, uint32_t pin, bool held);
// ended is called with the chip's lock held, on any thread: it must not call back.
void ioapic_set_ended(struct ioapic *a, void (*ended)(void *opaque, uint32_t pin), void *opaque);
// Messages of the first n pins, masked or not; returns how many were written.
// delivered: how often a LAPIC took the pin's interrupt, for statistics.
uint32_t ioapic_routes(struct ioapic *a, struct ioapic_route *ret, uint32_t n);

#endif
