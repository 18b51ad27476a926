// SPDX-License-Identifier: Apache-2.0
// Accesses to configuration space, from either window, and what follows from them.
#include "pci_impl.h"

static bool overlaps(uint32_t offset, uint32_t size, uint32_t at, uint32_t len)
{
	return offset < at + len && at < offset + size;
}

// --- interrupt pin

// Context: f->intx_lock held.
static void drive(struct pci_func *f)
{
	int level = f->intx_level && !f->intx_off;

	irq_line_set(&f->intx, level);
	irq_line_set(&f->intx_pic, level);
}

void pci_intx_set(struct pci_func *f, bool level)
{
	LOCKED(&f->intx_lock);
	f->intx_level = level;
	drive(f);
}

void pci_intx_connect(struct pci_func *f, struct irq_hub *hub, uint32_t gsi, uint32_t pic_gsi)
{
	irq_line_init(&f->intx, hub, gsi);
	irq_line_init(&f->intx_pic, hub, pic_gsi);
}

void pci_command_written(struct pci_func *f)
{
	uint16_t command = (uint16_t)pci_get(f, PCI_COMMAND, 2);

	atomic_store_explicit(&f->command, command, memory_order_release);
	LOCKED(&f->intx_lock);
	f->intx_off = command & PCI_COMMAND_INTX_DISABLE;
	drive(f);
}

// --- base addresses

static uint64_t decoded_at(const struct pci_func *f, uint32_t n)
{
	const struct pci_bar *bar = &f->bar[n];
	uint16_t command = (uint16_t)pci_get(f, PCI_COMMAND, 2);
	bool on = command & (bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
	uint64_t value = 0;

	if (bar->kind == PCI_BAR_NONE || !on)
		return PCI_UNMAPPED;
	value = pci_get(f, pci_bar_register(n), bar->kind == PCI_BAR_MEM64 ? 8 : 4);
	if (bar->kind == PCI_BAR_EXPANSION && !(value & PCI_ROM_ADDRESS_ENABLE))
		return PCI_UNMAPPED;
	return value & ~(bar->size - 1); // GUEST: any multiple of the size
}

static void decoded(const struct pci_func *f, uint64_t ret[PCI_BARS])
{
	for (uint32_t n = 0; n < PCI_BARS; n++)
		ret[n] = decoded_at(f, n);
}

void pci_bars(struct pci_func *f, uint64_t ret[PCI_BARS])
{
	if (!f->root) {
		memset(ret, 0xff, PCI_BARS * sizeof(ret[0])); // PCI_UNMAPPED
		return;
	}
	LOCKED(&f->root->dev.lock);
	decoded(f, ret);
}

// Whether a write there can change what decoded() says.
static bool moves(uint32_t offset, uint32_t size)
{
	return overlaps(offset, size, PCI_COMMAND, 1) ||
	       overlaps(offset, size, PCI_BASE_ADDRESS_0, 6 * 4) ||
	       overlaps(offset, size, PCI_ROM_ADDRESS, 4);
}

// --- accesses

// Whether the function has all of those registers. Context: root's lock held.
static bool has(const struct pci_func *f, uint32_t offset, uint32_t size)
{
	return f && offset + size <= (f->last_ext_cap ? PCI_CONFIG_SIZE : PCI_CONFIG_CLASSIC);
}

// The function that a guest finds there, or NULL: as long as a slot has no function 0, none of it.
// Context: root's lock held.
static struct pci_func *found(struct pci_root *r, uint32_t devfn)
{
	return r->func[devfn & ~7u] ? r->func[devfn] : NULL;
}

// Context: root's lock held.
static uint64_t read_locked(struct pci_func *f, uint32_t offset, uint32_t size)
{
	if (overlaps(offset, size, PCI_STATUS, 1)) {
		LOCKED(&f->intx_lock);
		uint8_t status = (uint8_t)(f->config[PCI_STATUS] & ~PCI_STATUS_INTERRUPT);
		f->config[PCI_STATUS] = status | (f->intx_level ? PCI_STATUS_INTERRUPT : 0);
	}
	for (uint32_t i = 0; offset + size > f->hooked && i < f->caps; i++) {
		const struct pci_cap *cap = &f->cap[i];
		if (cap->ops && cap->ops->reading && overlaps(offset, size, cap->offset, cap->len))
			cap->ops->reading(cap->opaque, f, offset, size);
	}
	return pci_get(f, offset, size);
}

void pci_config_read(struct pci_root *r, uint32_t devfn, uint32_t offset, uint32_t size,
		     uint64_t *ret)
{
	const struct pci_pass_ops *pass;
	void *opaque;

	*ret = UINT64_MAX;
	{
		LOCKED(&r->dev.lock);
		struct pci_func *f = found(r, devfn);
		if (!has(f, offset, size)) {
			count_add(&r->missing, 1);
			return;
		}
		count_add(&r->reads, 1);
		*ret = read_locked(f, offset, size);
		pass = f->pass;
		opaque = f->pass_opaque;
	}
	if (pass) // the function itself may be gone by now
		pass->read(opaque, offset, size, ret);
}

static void store(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t value)
{
	for (uint32_t i = 0; i < size; i++) {
		uint8_t *byte = &f->config[offset + i], wmask = f->wmask[offset + i];
		uint8_t new = (uint8_t)(value >> (8 * i)); // GUEST: any bits
		*byte = (uint8_t)(((*byte & ~wmask) | (new &wmask)) & ~(new & f->w1c[offset + i]));
	}
}

// One write with all that stays in C; true if the function decodes elsewhere now. Context: root's
// lock held.
static bool write_locked(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t value)
{
	bool watch = moves(offset, size);
	uint64_t before[PCI_BARS], after[PCI_BARS];

	if (watch)
		decoded(f, before);
	store(f, offset, size, value);
	if (overlaps(offset, size, PCI_COMMAND, 2))
		pci_command_written(f);
	for (uint32_t i = 0; offset + size > f->hooked && i < f->caps; i++) {
		const struct pci_cap *cap = &f->cap[i];
		if (cap->ops && cap->ops->written && overlaps(offset, size, cap->offset, cap->len))
			cap->ops->written(cap->opaque, f, offset, size);
	}
	if (f->watch)
		f->watch(f->watch_opaque, f);
	if (!watch)
		return false;
	decoded(f, after);
	return memcmp(before, after, sizeof(before)) != 0;
}

int pci_config_write(struct pci_root *r, uint32_t devfn, uint32_t offset, uint32_t size,
		     uint64_t value)
{
	const struct pci_pass_ops *pass;
	void *opaque;
	bool changed;

	{
		LOCKED(&r->dev.lock);
		struct pci_func *f = found(r, devfn);
		if (!has(f, offset, size)) {
			count_add(&r->missing, 1);
			return 0;
		}
		count_add(&r->writes, 1);
		changed = write_locked(f, offset, size, value);
		pass = f->pass;
		opaque = f->pass_opaque;
	}
	if (pass)
		pass->write(opaque, offset, size, value);
	if (!changed || !r->changed)
		return 0;
	count_add(&r->changes, 1);
	return r->changed->ops->write(r->changed, 0, devfn, 4, 0);
}
