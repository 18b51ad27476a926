// SPDX-License-Identifier: Apache-2.0
#include "ioapic.h"

#include <stdlib.h>
#include <unistd.h>

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

#define ID_MASK 0x0f000000u
#define RTE_READ_ONLY (IOAPIC_RTE_PENDING | IOAPIC_RTE_REMOTE_IRR)
#define RTE_DEFINED (0xffull << IOAPIC_RTE_DEST_SHIFT | 0x1ffffull)

static uint32_t delivery_mode(uint64_t rte)
{
	return (uint32_t)(rte >> IOAPIC_RTE_DELIVERY_SHIFT) & 7;
}

static struct ioapic_route route_of(const struct ioapic *a, uint32_t pin)
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
	struct ioapic_route route = route_of(a, pin);

	if (route.masked || (*rte & IOAPIC_RTE_REMOTE_IRR) || !a->msi ||
	    delivery_mode(*rte) == DELIVERY_EXTINT)
		return;
	if (a->msi(a->opaque, route.address, route.data) <= 0)
		return;
	a->delivered[pin]++;
	if (*rte & IOAPIC_RTE_LEVEL)
		*rte |= IOAPIC_RTE_REMOTE_IRR;
}

static void service_level(struct ioapic *a, uint32_t pin)
{
	if ((a->lines >> pin & 1) && (a->rte[pin] & IOAPIC_RTE_LEVEL))
		service(a, pin);
}

// Brings the router's entry for the pin up to date. Context: lock held.
static void publish(struct ioapic *a, uint32_t pin)
{
	struct ioapic_route route = route_of(a, pin);

	if (!a->router)
		return;
	if (!(a->rte[pin] & IOAPIC_RTE_LEVEL)) {
		router_clear(a->router, pin); // no hurry: a needless EOI exit does no harm
		return;
	}
	if (router_set_msi(a->router, pin, route.address, route.data) || router_commit(a->router))
		a->route_failures++;
}

// shift: 0 or 32, the half that is written.
static void write_rte(struct ioapic *a, uint32_t pin, uint32_t shift, uint32_t value)
{
	uint64_t writable = RTE_DEFINED & ~RTE_READ_ONLY & (0xffffffffull << shift);
	uint64_t rte = (a->rte[pin] & ~writable) | ((uint64_t)value << shift & writable);

	// Switching to edge and back is how software frees a pin whose EOI got lost.
	if (!(rte & IOAPIC_RTE_LEVEL))
		rte &= ~IOAPIC_RTE_REMOTE_IRR;
	a->rte[pin] = rte;
	if (!(rte & IOAPIC_RTE_MASKED))
		publish(a, pin);
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

// Context: lock held.
static void eoi(struct ioapic *a, uint8_t vector)
{
	for (uint32_t pin = 0; pin < a->pins; pin++) {
		uint64_t rte = a->rte[pin];
		if (!(rte & IOAPIC_RTE_REMOTE_IRR) || (rte & IOAPIC_RTE_VECTOR) != vector)
			continue;
		a->rte[pin] = rte & ~IOAPIC_RTE_REMOTE_IRR;
		if (a->resample_fd[pin] >= 0) {
			uint64_t one = 1;
			ssize_t n = write(a->resample_fd[pin], &one, sizeof(one));
			(void)n; // full means signalled already
		}
		service_level(a, pin);
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

static const struct dev_ops ioapic_ops = { .read = ioapic_read, .write = ioapic_write };

struct ioapic *ioapic_create(uint32_t pins)
{
	struct ioapic *a = pins == 24 || pins == 48 ? calloc(1, sizeof(*a)) : NULL;

	if (!a)
		return NULL;
	dev_init(&a->dev, &ioapic_ops, 0);
	a->pins = pins;
	for (uint32_t pin = 0; pin < IOAPIC_MAX_PINS; pin++)
		a->resample_fd[pin] = -1;
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
			publish(a, pin); // also a masked one whose EOI is still to come
	}
	return 0;
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
			publish(a, pin);
	}
}

void ioapic_set_line(struct ioapic *a, uint32_t pin, int level)
{
	LOCKED(&a->dev.lock);
	if (pin >= a->pins)
		return;
	bool rises = level && !(a->lines >> pin & 1);
	a->lines = (a->lines & ~(1ull << pin)) | (uint64_t)(level ? 1 : 0) << pin;
	if (a->rte[pin] & IOAPIC_RTE_LEVEL)
		service_level(a, pin);
	else if (rises)
		service(a, pin);
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
	LOCKED(&a->dev.lock);
	eoi(a, vector);
}

int ioapic_set_resample(struct ioapic *a, uint32_t pin, int fd)
{
	if (pin >= a->pins)
		return -EINVAL;
	LOCKED(&a->dev.lock);
	a->resample_fd[pin] = fd;
	return 0;
}

uint32_t ioapic_routes(struct ioapic *a, struct ioapic_route *ret, uint32_t n)
{
	LOCKED(&a->dev.lock);
	uint32_t count = n < a->pins ? n : a->pins;
	for (uint32_t pin = 0; pin < count; pin++)
		ret[pin] = route_of(a, pin);
	return count;
}
