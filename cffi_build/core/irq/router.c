// SPDX-License-Identifier: Apache-2.0
#include "router.h"

#include <stdlib.h>
#include <sys/ioctl.h>

_Static_assert(offsetof(struct irq_router, table.entry) - offsetof(struct irq_router, table) ==
		       offsetof(struct kvm_irq_routing, entries),
	       "the table is a struct kvm_irq_routing");

struct irq_router *router_create(int vm_fd)
{
	struct irq_router *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	r->vm_fd = vm_fd;
	return r;
}

void router_destroy(struct irq_router *r)
{
	pthread_mutex_destroy(&r->lock);
	free(r);
}

// Context: lock held.
static void clear(struct irq_router *r, uint32_t gsi)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->table.nr; i++) {
		if (r->table.entry[i].gsi != gsi)
			r->table.entry[kept++] = r->table.entry[i];
	}
	if (kept != r->table.nr)
		r->dirty = true;
	r->table.nr = kept;
}

// Context: lock held.
static int add(struct irq_router *r, const struct kvm_irq_routing_entry *entry)
{
	if (r->table.nr == ROUTER_MAX_ROUTES)
		return -ENOSPC;
	r->table.entry[r->table.nr++] = *entry;
	r->dirty = true;
	return 0;
}

// Makes `entry` its GSI's only route; nothing becomes dirty if it already is. Context: lock held.
static int put(struct irq_router *r, const struct kvm_irq_routing_entry *entry)
{
	uint32_t found = ROUTER_MAX_ROUTES, matches = 0;

	for (uint32_t i = 0; i < r->table.nr; i++) {
		if (r->table.entry[i].gsi == entry->gsi) {
			found = i;
			matches++;
		}
	}
	if (matches > 1)
		clear(r, entry->gsi);
	if (matches != 1)
		return add(r, entry);
	// Every byte of an entry is set, also those between its members.
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
	if (memcmp(&r->table.entry[found], entry, sizeof(*entry)) != 0) {
		r->table.entry[found] = *entry;
		r->dirty = true;
	}
	return 0;
}

static int replace(struct irq_router *r, const struct kvm_irq_routing_entry *entry)
{
	if (entry->gsi >= ROUTER_MAX_GSI)
		return -EINVAL;
	LOCKED(&r->lock);
	r->named[entry->gsi] = 0;
	return put(r, entry);
}

// Routes the GSI to what the PIRQ that its message names is bound to. Context: lock held.
static int put_named(struct irq_router *r, uint32_t gsi)
{
	const struct router_pirq *bound = &r->pirq[r->named[gsi]];
	struct kvm_irq_routing_entry entry;

	if (!bound->port) {
		clear(r, gsi);
		return 0;
	}
	memset(&entry, 0, sizeof(entry));
	entry.gsi = gsi;
	entry.type = KVM_IRQ_ROUTING_XEN_EVTCHN;
	entry.u.xen_evtchn.port = bound->port;
	entry.u.xen_evtchn.vcpu = bound->vcpu;
	entry.u.xen_evtchn.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL;
	return put(r, &entry);
}

uint32_t router_pirq_named(const struct irq_router *r, uint64_t address, uint32_t data)
{
	// GUEST: any address and data.
	uint64_t number = (address >> 32 & 0xffffff00) | (address >> 12 & 0xff);

	return !r->pirqs || data & 0xff || number >= ROUTER_PIRQS ? 0 : (uint32_t)number;
}

void router_use_pirqs(struct irq_router *r)
{
	LOCKED(&r->lock);
	r->pirqs = true;
}

int router_set_pirq(struct irq_router *r, uint32_t pirq, uint32_t port, uint32_t vcpu)
{
	int err = 0;

	if (!pirq || pirq >= ROUTER_PIRQS)
		return -EINVAL;
	LOCKED(&r->lock);
	r->pirq[pirq] = (struct router_pirq){ port, vcpu };
	for (uint32_t gsi = 0; gsi < ROUTER_MAX_GSI && !err; gsi++) {
		if (r->named[gsi] == pirq)
			err = put_named(r, gsi);
	}
	return err;
}

static int set_named(struct irq_router *r, uint32_t gsi, uint32_t pirq)
{
	if (gsi >= ROUTER_MAX_GSI)
		return -EINVAL;
	LOCKED(&r->lock);
	r->named[gsi] = (uint16_t)pirq;
	return put_named(r, gsi);
}

int router_set_msi(struct irq_router *r, uint32_t gsi, uint64_t address, uint32_t data)
{
	struct kvm_irq_routing_entry entry;
	uint32_t pirq = router_pirq_named(r, address, data);

	if (pirq)
		return set_named(r, gsi, pirq);
	memset(&entry, 0, sizeof(entry)); // entries are compared whole
	entry.gsi = gsi;
	entry.type = KVM_IRQ_ROUTING_MSI;
	entry.u.msi.address_lo = (uint32_t)address;
	entry.u.msi.address_hi = (uint32_t)(address >> 32);
	entry.u.msi.data = data;
	return replace(r, &entry);
}

int router_set_xen(struct irq_router *r, uint32_t gsi, uint32_t port, uint32_t vcpu,
		   uint32_t priority)
{
	struct kvm_irq_routing_entry entry;

	memset(&entry, 0, sizeof(entry));
	entry.gsi = gsi;
	entry.type = KVM_IRQ_ROUTING_XEN_EVTCHN;
	entry.u.xen_evtchn.port = port;
	entry.u.xen_evtchn.vcpu = vcpu;
	entry.u.xen_evtchn.priority = priority;
	return replace(r, &entry);
}

int router_add_pin(struct irq_router *r, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	struct kvm_irq_routing_entry entry;

	if (gsi >= ROUTER_MAX_GSI)
		return -EINVAL;
	memset(&entry, 0, sizeof(entry));
	entry.gsi = gsi;
	entry.type = KVM_IRQ_ROUTING_IRQCHIP;
	entry.u.irqchip.irqchip = chip;
	entry.u.irqchip.pin = pin;
	LOCKED(&r->lock);
	return add(r, &entry);
}

void router_clear(struct irq_router *r, uint32_t gsi)
{
	LOCKED(&r->lock);
	if (gsi < ROUTER_MAX_GSI)
		r->named[gsi] = 0;
	clear(r, gsi);
}

int router_commit(struct irq_router *r)
{
	LOCKED(&r->lock);
	if (!r->dirty)
		return 0;
	r->commits++;
	if (r->vm_fd >= 0 && ioctl(r->vm_fd, KVM_SET_GSI_ROUTING, &r->table) < 0)
		return -errno;
	r->dirty = false;
	return 0;
}

static struct router_entry describe(const struct kvm_irq_routing_entry *e)
{
	struct router_entry ret = { .gsi = e->gsi, .type = e->type };

	switch (e->type) {
	case KVM_IRQ_ROUTING_MSI:
		ret.address = (uint64_t)e->u.msi.address_hi << 32 | e->u.msi.address_lo;
		ret.data = e->u.msi.data;
		break;
	case KVM_IRQ_ROUTING_IRQCHIP:
		ret.address = e->u.irqchip.irqchip;
		ret.data = e->u.irqchip.pin;
		break;
	case KVM_IRQ_ROUTING_XEN_EVTCHN:
		ret.address = e->u.xen_evtchn.port;
		ret.data = e->u.xen_evtchn.vcpu;
		break;
	}
	return ret;
}

uint32_t router_entries(struct irq_router *r, struct router_entry *ret, uint32_t n)
{
	LOCKED(&r->lock);
	for (uint32_t i = 0; i < r->table.nr && i < n; i++)
		ret[i] = describe(&r->table.entry[i]);
	return r->table.nr;
}

uint64_t router_commits(struct irq_router *r)
{
	LOCKED(&r->lock);
	return r->commits;
}
