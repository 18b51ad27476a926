// SPDX-License-Identifier: Apache-2.0
// Building a function: identity, base address registers, capabilities; its reset and its state.
#include <stdlib.h>

#include "pci_impl.h"

enum {
	COMMAND_WRITABLE = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			   PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE,
	STATUS_CLEARED = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
			 PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
			 PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY,
	FIRST_CAP = 0x40,
};

static void put(uint8_t *at, uint32_t size, uint64_t value)
{
	for (uint32_t i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void pci_set(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t value)
{
	put(&f->config[offset], size, value);
}

void pci_set_wmask(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t mask)
{
	put(&f->wmask[offset], size, mask);
}

void pci_set_w1c(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t mask)
{
	put(&f->w1c[offset], size, mask);
}

void pci_watch(struct pci_func *f, void (*watch)(void *opaque, struct pci_func *f), void *opaque)
{
	f->watch = watch;
	f->watch_opaque = opaque;
}

uint64_t pci_get(const struct pci_func *f, uint32_t offset, uint32_t size)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < size; i++)
		value |= (uint64_t)f->config[offset + i] << (8 * i);
	return value;
}

struct pci_func *pci_func_create(const struct pci_ident *ident)
{
	struct pci_func *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	lock_init(&f->intx_lock);
	f->hooked = PCI_STD_HEADER_SIZEOF;
	pci_set(f, PCI_VENDOR_ID, 2, ident->vendor);
	pci_set(f, PCI_DEVICE_ID, 2, ident->device);
	pci_set(f, PCI_CLASS_REVISION, 4, ident->class_code << 8 | ident->revision);
	pci_set(f, PCI_SUBSYSTEM_VENDOR_ID, 2, ident->subsystem_vendor);
	pci_set(f, PCI_SUBSYSTEM_ID, 2, ident->subsystem);
	pci_set(f, PCI_INTERRUPT_PIN, 1, ident->pin);
	pci_set_wmask(f, PCI_COMMAND, 2, COMMAND_WRITABLE);
	pci_set_w1c(f, PCI_STATUS, 2, STATUS_CLEARED);
	pci_set_wmask(f, PCI_CACHE_LINE_SIZE, 1, 0xff);
	pci_set_wmask(f, PCI_INTERRUPT_LINE, 1, 0xff);
	return f;
}

void pci_func_destroy(struct pci_func *f)
{
	irq_line_deinit(&f->intx);
	irq_line_deinit(&f->intx_pic);
	free(f);
}

uint32_t pci_bar_register(uint32_t n)
{
	return n == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * n;
}

int pci_add_bar(struct pci_func *f, uint32_t n, enum pci_bar_kind kind, uint64_t size,
		bool prefetchable)
{
	static const uint32_t least[] = { [PCI_BAR_IO] = 4,
					  [PCI_BAR_MEM32] = 16,
					  [PCI_BAR_MEM64] = 16,
					  [PCI_BAR_EXPANSION] = 2048 };
	uint32_t flags = kind == PCI_BAR_IO	 ? PCI_BASE_ADDRESS_SPACE_IO
			 : kind == PCI_BAR_MEM64 ? PCI_BASE_ADDRESS_MEM_TYPE_64
						 : 0;
	bool wide = kind == PCI_BAR_MEM64;

	if (kind == PCI_BAR_NONE || kind > PCI_BAR_EXPANSION ||
	    n > (kind == PCI_BAR_EXPANSION ? PCI_ROM
		 : wide			   ? 4
					   : 5) ||
	    (n == PCI_ROM) != (kind == PCI_BAR_EXPANSION) || size < least[kind] ||
	    size & (size - 1) || (!wide && size > UINT64_C(1) << 31))
		return -EINVAL;
	if (f->bar[n].size || (wide && f->bar[n + 1].size))
		return -EBUSY;
	f->bar[n] = (struct pci_bar){ kind, size };
	if (wide)
		f->bar[n + 1] = (struct pci_bar){ PCI_BAR_NONE, size };
	flags |= prefetchable && kind != PCI_BAR_IO ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;
	pci_set(f, pci_bar_register(n), 4, flags);
	pci_set_wmask(f, pci_bar_register(n), wide ? 8 : 4,
		      ~(size - 1) | (n == PCI_ROM ? PCI_ROM_ADDRESS_ENABLE : 0));
	return 0;
}

void pci_set_bar(struct pci_func *f, uint32_t n, uint64_t address)
{
	uint32_t size = f->bar[n].kind == PCI_BAR_MEM64 ? 8 : 4;
	uint64_t flags = pci_get(f, pci_bar_register(n), size) & (f->bar[n].size - 1);

	pci_set(f, pci_bar_register(n), size, address | flags);
}

// A place for `len` bytes behind the last capability in [start, end), 4-byte aligned; 0: none.
static uint32_t find_place(const struct pci_func *f, uint32_t start, uint32_t end, uint32_t len)
{
	uint32_t at = start;

	for (uint32_t i = 0; i < f->caps; i++) {
		uint32_t behind = (f->cap[i].offset + f->cap[i].len + 3u) & ~3u;
		if (f->cap[i].offset >= start && f->cap[i].offset < end && behind > at)
			at = behind;
	}
	return f->caps < PCI_MAX_CAPS && len <= end && at <= end - len ? at : 0;
}

static void remember(struct pci_func *f, uint32_t offset, uint32_t len,
		     const struct pci_cap_ops *ops, void *opaque)
{
	f->cap[f->caps++] = (struct pci_cap){ (uint16_t)offset, (uint16_t)len, ops, opaque };
}

void pci_pass(struct pci_func *f, const struct pci_pass_ops *ops, void *opaque)
{
	f->pass = ops;
	f->pass_opaque = opaque;
}

int pci_hook(struct pci_func *f, uint32_t offset, uint32_t len, const struct pci_cap_ops *ops,
	     void *opaque)
{
	if (f->caps == PCI_MAX_CAPS)
		return -ENOSPC;
	remember(f, offset, len, ops, opaque);
	if (offset < f->hooked)
		f->hooked = offset;
	return 0;
}

int pci_add_capability(struct pci_func *f, uint8_t id, uint32_t len, const struct pci_cap_ops *ops,
		       void *opaque)
{
	uint32_t at = find_place(f, FIRST_CAP, PCI_CONFIG_CLASSIC, len);

	if (!at)
		return -ENOSPC;
	pci_set(f, at + PCI_CAP_LIST_ID, 1, id);
	pci_set(f, f->last_cap ? f->last_cap + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1, at);
	pci_set(f, PCI_STATUS, 2, pci_get(f, PCI_STATUS, 2) | PCI_STATUS_CAP_LIST);
	f->last_cap = at;
	remember(f, at, len, ops, opaque);
	return (int)at;
}

int pci_add_ext_capability(struct pci_func *f, uint16_t id, uint8_t version, uint32_t len,
			   const struct pci_cap_ops *ops, void *opaque)
{
	uint32_t at = find_place(f, PCI_CONFIG_CLASSIC, PCI_CONFIG_SIZE, len);

	if (!at)
		return -ENOSPC;
	// ID, version, next: 16, 4 and 12 bits.
	pci_set(f, at, 4, id | (uint32_t)version << 16);
	if (f->last_ext_cap)
		pci_set(f, f->last_ext_cap + 2, 2,
			(pci_get(f, f->last_ext_cap + 2, 2) & 0xf) | at << 4);
	f->last_ext_cap = at;
	remember(f, at, len, ops, opaque);
	return (int)at;
}

// Everything that is derived from the registers follows them. Context: root's lock, if plugged.
static void follow_registers(struct pci_func *f)
{
	pci_command_written(f);
	for (uint32_t i = 0; i < f->caps; i++)
		if (f->cap[i].ops && f->cap[i].ops->written)
			f->cap[i].ops->written(f->cap[i].opaque, f, f->cap[i].offset,
					       f->cap[i].len);
	if (f->watch)
		f->watch(f->watch_opaque, f);
}

void pci_func_reset(struct pci_func *f)
{
	if (!f->root)
		return;
	pci_intx_set(f, false);
	LOCKED(&f->root->dev.lock);
	memcpy(f->config, f->initial, sizeof(f->config));
	follow_registers(f);
}

void pci_func_save(struct pci_func *f, struct pci_func_state *ret)
{
	LOCKED(&f->root->dev.lock);
	ret->version = PCI_FUNC_STATE_VERSION;
	ret->intx_level = f->intx_level;
	memcpy(ret->config, f->config, sizeof(ret->config));
}

// Whether both are the same kind of function: all that no write can change in the header.
static bool same_kind(const struct pci_func *f, const uint8_t *config)
{
	for (uint32_t i = 0; i < PCI_STD_HEADER_SIZEOF; i++) {
		uint8_t fixed = (uint8_t)~(f->wmask[i] | f->w1c[i]);
		bool status = i == PCI_STATUS; // has the interrupt status bit
		if (!status && (f->config[i] ^ config[i]) & fixed)
			return false;
	}
	return true;
}

int pci_func_load(struct pci_func *f, const struct pci_func_state *state)
{
	if (state->version != PCI_FUNC_STATE_VERSION || state->intx_level > 1 ||
	    !same_kind(f, state->config))
		return -EINVAL;
	{
		LOCKED(&f->root->dev.lock);
		for (uint32_t i = 0; i < PCI_CONFIG_SIZE; i++) {
			uint8_t bits = f->wmask[i] | f->w1c[i];
			f->config[i] =
				(uint8_t)((f->config[i] & ~bits) | (state->config[i] & bits));
		}
		follow_registers(f);
	}
	pci_intx_set(f, state->intx_level);
	return 0;
}
