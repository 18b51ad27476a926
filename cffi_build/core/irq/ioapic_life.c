// SPDX-License-Identifier: Apache-2.0
// The I/O APIC's life: creation, reset, saved state, what it is connected to.
#include <stdlib.h>

#include "ioapic_impl.h"

struct ioapic *ioapic_create(uint32_t pins)
{
	struct ioapic *a = pins == 24 || pins == 48 ? calloc(1, sizeof(*a)) : NULL;

	if (!a)
		return NULL;
	dev_init(&a->dev, &ioapic_ops, 0);
	a->pins = pins;
	ioapic_reset(a);
	return a;
}

void ioapic_destroy(struct ioapic *a)
{
	dev_deinit(&a->dev);
	free(a);
}

void ioapic_reset(struct ioapic *a)
{
	LOCKED(&a->dev.lock);
	a->select = 0;
	a->id = 0;
	for (uint32_t pin = 0; pin < a->pins; pin++) {
		a->rte[pin] = IOAPIC_RTE_MASKED;
		if (a->router)
			router_clear(a->router, pin);
	}
}

void ioapic_save(struct ioapic *a, struct ioapic_state *ret)
{
	LOCKED(&a->dev.lock);
	*ret = (struct ioapic_state){
		.version = IOAPIC_STATE_VERSION,
		.pins = a->pins,
		.select = a->select,
		.id = a->id,
		.lines = a->lines,
	};
	memcpy(ret->rte, a->rte, sizeof(ret->rte));
}

int ioapic_load(struct ioapic *a, const struct ioapic_state *s)
{
	if (s->version != IOAPIC_STATE_VERSION || s->pins != a->pins || s->select > 0xff ||
	    s->id & ~ID_MASK || s->lines >> s->pins)
		return -EINVAL;
	for (uint32_t pin = 0; pin < s->pins; pin++) {
		if (s->rte[pin] & (~RTE_DEFINED | IOAPIC_RTE_PENDING) ||
		    ((s->rte[pin] & IOAPIC_RTE_REMOTE_IRR) && !(s->rte[pin] & IOAPIC_RTE_LEVEL)))
			return -EINVAL;
	}
	LOCKED(&a->dev.lock);
	a->select = s->select;
	a->id = s->id;
	a->lines = s->lines;
	for (uint32_t pin = 0; pin < a->pins; pin++) {
		a->rte[pin] = s->rte[pin];
		if (!(s->rte[pin] & IOAPIC_RTE_MASKED) || (s->rte[pin] & IOAPIC_RTE_REMOTE_IRR))
			ioapic_publish(a, pin); // also a masked one whose EOI is still to come
	}
	return 0;
}

void ioapic_reconcile(struct ioapic *a, const uint8_t *held)
{
	LOCKED(&a->dev.lock);
	for (uint32_t pin = 0; pin < a->pins; pin++) {
		uint8_t vector = a->rte[pin] & IOAPIC_RTE_VECTOR;
		if (ioapic_awaits_eoi(a, pin) && !(held[vector / 8] >> vector % 8 & 1))
			ioapic_end(a, pin);
	}
}

void ioapic_set_msi(struct ioapic *a, int (*msi)(void *, uint64_t, uint32_t), void *opaque)
{
	LOCKED(&a->dev.lock);
	a->msi = msi;
	a->opaque = opaque;
}

void ioapic_set_router(struct ioapic *a, struct irq_router *router)
{
	LOCKED(&a->dev.lock);
	a->router = router;
	for (uint32_t pin = 0; pin < a->pins; pin++) {
		if (!(a->rte[pin] & IOAPIC_RTE_MASKED))
			ioapic_publish(a, pin);
	}
}

void ioapic_set_ended(struct ioapic *a, void (*ended)(void *opaque, uint32_t pin), void *opaque)
{
	LOCKED(&a->dev.lock);
	a->ended = ended;
	a->ended_opaque = opaque;
}

uint32_t ioapic_routes(struct ioapic *a, struct ioapic_route *ret, uint32_t n)
{
	LOCKED(&a->dev.lock);
	uint32_t count = n < a->pins ? n : a->pins;
	for (uint32_t pin = 0; pin < count; pin++)
		ret[pin] = ioapic_route_of(a, pin);
	return count;
}
