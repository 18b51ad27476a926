// SPDX-License-Identifier: Apache-2.0
// Registers and pins; the chip's life is ioapic_life.c.

#include "ioapic_impl.h"

enum {
	// Offsets in the page (82093AA, 3.1; the EOI register came with version 0x20).
	OFFSET_SELECT = 0x00,
	OFFSET_WINDOW = 0x10,
	OFFSET_EOI = 0x40,
	// Indirect registers
	REG_ID = 0,
	REG_VERSION = 1,
	REG_ARBITRATION = 2,
	REG_RTE = 0x10,

	DELIVERY_EXTINT = 7, // the PIC's own way in, which needs no I/O APIC here
};

static uint32_t delivery_mode(uint64_t rte)
{
	return (uint32_t)(rte >> IOAPIC_RTE_DELIVERY_SHIFT) & 7;
}

struct ioapic_route ioapic_route_of(const struct ioapic *a, uint32_t pin)
{
	uint64_t rte = a->rte[pin];
	uint32_t level = rte & IOAPIC_RTE_LEVEL ? 1 : 0;

	// The MSI format of the processor manual, volume 3, 11.11.
	return (struct ioapic_route){
		.address = 0xfee00000ull | (rte >> IOAPIC_RTE_DEST_SHIFT) << 12 |
			   (rte & IOAPIC_RTE_LOGICAL ? 1u << 2 : 0),
		.data = (uint32_t)(rte & IOAPIC_RTE_VECTOR) | delivery_mode(rte) << 8 | 1u << 14 |
			level << 15,
		.masked = rte & IOAPIC_RTE_MASKED ? 1 : 0,
		.delivered = a->delivered[pin],
	};
}

// Sends the pin's message if its state calls for it. Context: lock held.
static void service(struct ioapic *a, uint32_t pin)
{
	uint64_t *rte = &a->rte[pin];
	struct ioapic_route route = ioapic_route_of(a, pin);

	if (route.masked || (*rte & IOAPIC_RTE_REMOTE_IRR) || !a->msi ||
	    delivery_mode(*rte) == DELIVERY_EXTINT)
		return;
	if (a->msi(a->opaque, route.address, route.data) <= 0)
		return;
	a->delivered[pin]++;
	if (*rte & IOAPIC_RTE_LEVEL)
		*rte |= IOAPIC_RTE_REMOTE_IRR;
}

static bool high(const struct ioapic *a, uint32_t pin)
{
	return (a->lines | a->held) >> pin & 1;
}

static void service_level(struct ioapic *a, uint32_t pin)
{
	if (high(a, pin) && (a->rte[pin] & IOAPIC_RTE_LEVEL))
		service(a, pin);
}

void ioapic_publish(struct ioapic *a, uint32_t pin)
{
	struct ioapic_route route = ioapic_route_of(a, pin);

	if (!a->router)
		return;
	if (!(a->rte[pin] & IOAPIC_RTE_LEVEL)) {
		router_clear(a->router, pin); // no hurry: a needless EOI exit does no harm
		return;
	}
	if (router_set_msi(a->router, pin, route.address, route.data) || router_commit(a->router))
		a->route_failures++;
}

// The source of what holds the pin looks whether it still wants service.
static void let_go(struct ioapic *a, uint32_t pin)
{
	a->held &= ~(1ull << pin);
	if (a->ended)
		a->ended(a->ended_opaque, pin);
}

// shift: 0 or 32, the half that is written.
static void write_rte(struct ioapic *a, uint32_t pin, uint32_t shift, uint32_t value)
{
	uint64_t writable = RTE_DEFINED & ~RTE_READ_ONLY & (0xffffffffull << shift);
	uint64_t rte = (a->rte[pin] & ~writable) | ((uint64_t)value << shift & writable);

	// Switching to edge and back is how software frees a pin whose EOI got lost.
	if (!(rte & IOAPIC_RTE_LEVEL))
		rte &= ~IOAPIC_RTE_REMOTE_IRR;
	bool unmasked = a->rte[pin] & ~rte & IOAPIC_RTE_MASKED;
	a->rte[pin] = rte;
	if (!(rte & IOAPIC_RTE_MASKED))
		ioapic_publish(a, pin);
	// What holds the pin may have been served while it was masked, by a handler on a thread.
	if (unmasked && rte & IOAPIC_RTE_LEVEL && !ioapic_awaits_eoi(a, pin) && a->held >> pin & 1)
		let_go(a, pin);
	service_level(a, pin);
}

static uint32_t read_window(struct ioapic *a)
{
	uint32_t index = a->select - REG_RTE;

	switch (a->select) {
	case REG_ID:
	case REG_ARBITRATION: // loaded from the ID; there is no APIC bus to arbitrate
		return a->id;
	case REG_VERSION:
		return IOAPIC_VERSION | (a->pins - 1) << 16;
	}
	if (a->select < REG_RTE || index >= 2 * a->pins) // GUEST: select is any byte
		return UINT32_MAX;
	return (uint32_t)(a->rte[index / 2] >> (index % 2 ? 32 : 0));
}

static void write_window(struct ioapic *a, uint32_t value)
{
	uint32_t index = a->select - REG_RTE;

	if (a->select == REG_ID)
		a->id = value & ID_MASK;
	else if (a->select >= REG_RTE && index < 2 * a->pins) // GUEST: select is any byte
		write_rte(a, index / 2, index % 2 ? 32 : 0, value);
}

void ioapic_end(struct ioapic *a, uint32_t pin)
{
	a->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
	let_go(a, pin);
	service_level(a, pin);
}

// Context: lock held.
static void eoi(struct ioapic *a, uint8_t vector)
{
	for (uint32_t pin = 0; pin < a->pins; pin++) {
		if (ioapic_awaits_eoi(a, pin) && (a->rte[pin] & IOAPIC_RTE_VECTOR) == vector)
			ioapic_end(a, pin);
	}
}

static int ioapic_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t *ret)
{
	struct ioapic *a = container_of(d, struct ioapic, dev);

	(void)region, (void)size;
	if (offset == OFFSET_SELECT)
		*ret = a->select;
	else if (offset == OFFSET_WINDOW)
		*ret = read_window(a);
	return 0;
}

static int ioapic_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t value)
{
	struct ioapic *a = container_of(d, struct ioapic, dev);

	(void)region, (void)size;
	switch (offset) {
	case OFFSET_SELECT:
		a->select = (uint8_t)value;
		break;
	case OFFSET_WINDOW:
		write_window(a, (uint32_t)value);
		break;
	case OFFSET_EOI:
		eoi(a, (uint8_t)value);
		break;
	}
	return 0;
}

const struct dev_ops ioapic_ops = { .read = ioapic_read, .write = ioapic_write };

// One of the two things that make a pin high changes.
static void change(struct ioapic *a, uint32_t pin, uint64_t *which, bool level)
{
	if (pin >= a->pins)
		return;
	bool rises = level && !high(a, pin);
	*which = (*which & ~(1ull << pin)) | (uint64_t)level << pin;
	if (a->rte[pin] & IOAPIC_RTE_LEVEL)
		service_level(a, pin);
	else if (rises)
		service(a, pin);
}

void ioapic_set_line(struct ioapic *a, uint32_t pin, int level)
{
	LOCKED(&a->dev.lock);
	change(a, pin, &a->lines, level);
}

void ioapic_hold(struct ioapic *a, uint32_t pin, bool held)
{
	LOCKED(&a->dev.lock);
	change(a, pin, &a->held, held);
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
	LOCKED(&a->dev.lock);
	eoi(a, vector);
}
