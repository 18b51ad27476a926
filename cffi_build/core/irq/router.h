// SPDX-License-Identifier: Apache-2.0
// The VM's GSI routing table: what KVM does with each GSI, replaced whole by KVM_SET_GSI_ROUTING.
//
// One table serves everybody: Python sets MSI, Xen and chip routes, the split I/O APIC its pins'
// messages. A change takes effect with router_commit(). The lock is a leaf; it may be taken under a
// device's.
#ifndef VMM_ROUTER_H
#define VMM_ROUTER_H

#include <linux/kvm.h>

#include "base.h"

enum {
	ROUTER_MAX_ROUTES = 1024, // of the 4096 that KVM would take
	ROUTER_MAX_GSI = 4096,
	ROUTER_PIRQS = 256, // of a Xen domain
};

// What a Xen domain has bound a PIRQ to. port 0: nothing.
struct router_pirq {
	uint32_t port, vcpu;
};

struct irq_router {
	pthread_mutex_t lock;
	int vm_fd; // -1: commits go nowhere (tests)
	bool dirty;
	uint64_t commits; // KVM_SET_GSI_ROUTING calls
	bool pirqs; // messages may name PIRQs
	struct router_pirq pirq[ROUTER_PIRQS];
	uint16_t named[ROUTER_MAX_GSI]; // the PIRQ that the GSI's message names, 0 for none
	// Laid out as struct kvm_irq_routing wants it.
	struct {
		uint32_t nr;
		uint32_t flags;
		struct kvm_irq_routing_entry entry[ROUTER_MAX_ROUTES];
	} table;
};

// A route in words that need no uapi header.
struct router_entry {
	uint32_t gsi;
	uint32_t type; // KVM_IRQ_ROUTING_*
	uint64_t address; // MSI; for a chip its KVM_IRQCHIP_*, for Xen its port
	uint32_t data; // MSI; for a chip the pin, for Xen the vCPU
};

struct irq_router *router_create(int vm_fd);
void router_destroy(struct irq_router *r);
// Each replaces whatever the GSI was routed to. 0, -EINVAL (GSI out of range) or -ENOSPC.
int router_set_msi(struct irq_router *r, uint32_t gsi, uint64_t address, uint32_t data);
int router_set_xen(struct irq_router *r, uint32_t gsi, uint32_t port, uint32_t vcpu,
		   uint32_t priority);
// From here on a message with vector 0 names a PIRQ by the bits of its destination (Xen's
// hvm_inject_msi): its GSI goes wherever that is bound to, and nowhere while it is not.
void router_use_pirqs(struct irq_router *r);
// Which one a message names; 0: none.
uint32_t router_pirq_named(const struct irq_router *r, uint64_t address, uint32_t data);
// Binds a PIRQ, below ROUTER_PIRQS, to a port; takes effect with router_commit(). port 0: none.
// -EINVAL or -ENOSPC.
int router_set_pirq(struct irq_router *r, uint32_t pirq, uint32_t port, uint32_t vcpu);
// Adds a pin of an in-kernel chip (KVM_IRQCHIP_*) to the GSI's routes: one GSI may drive several
// chips.
int router_add_pin(struct irq_router *r, uint32_t gsi, uint32_t chip, uint32_t pin);
void router_clear(struct irq_router *r, uint32_t gsi);
// Makes KVM use the table if it has changed. 0 or -errno; the table keeps the change then, so that
// a later commit tries again.
int router_commit(struct irq_router *r);
// Copies up to n entries in table order; returns how many exist.
uint32_t router_entries(struct irq_router *r, struct router_entry *ret, uint32_t n);
uint64_t router_commits(struct irq_router *r);

#endif
