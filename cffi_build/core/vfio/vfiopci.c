// SPDX-License-Identifier: Apache-2.0
// Registers: those that trap, and configuration space.
#include "vfiopci.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	// Decoding stays on: where a register answers is up to the guest's memory map, and the
	// kernel takes the mappings of a function away that does not decode.
	COMMAND_FORCED = PCI_COMMAND_IO | PCI_COMMAND_MEMORY,
	COMMAND_GUEST = PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_PARITY |
			PCI_COMMAND_SERR,
};

static bool get(struct vfiopci *v, uint64_t at, void *bytes, uint32_t size)
{
	if (pread(v->fd, bytes, size, (off_t)at) == (ssize_t)size)
		return true;
	count_add(&v->failures, 1);
	return false;
}

static void put(struct vfiopci *v, uint64_t at, const void *bytes, uint32_t size)
{
	if (pwrite(v->fd, bytes, size, (off_t)at) != (ssize_t)size)
		count_add(&v->failures, 1);
}

// --- trapped ranges

static int trapped_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t *ret)
{
	struct vfiopci *v = container_of(d, struct vfiopci, dev);
	uint64_t value = 0;

	count_add(&v->reads, 1);
	if (get(v, v->window[region] + offset, &value, size))
		*ret = value;
	return 0;
}

static int trapped_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t value)
{
	struct vfiopci *v = container_of(d, struct vfiopci, dev);

	count_add(&v->writes, 1);
	put(v, v->window[region] + offset, &value, size);
	return 0;
}

static const struct dev_ops trapped_ops = { .read = trapped_read, .write = trapped_write };

int vfiopci_window(struct vfiopci *v, uint64_t at)
{
	if (v->windows == VFIOPCI_WINDOWS)
		return -ENOSPC;
	v->window[v->windows] = at;
	return (int)v->windows++;
}

// --- configuration space

static bool passes(const struct vfiopci *v, uint32_t offset, uint32_t size)
{
	bool any = false;

	for (uint32_t i = 0; i < size; i++)
		any |= v->pass[offset + i];
	return any;
}

static void pass_read(void *opaque, uint32_t offset, uint32_t size, uint64_t *value)
{
	struct vfiopci *v = opaque;
	uint64_t now = 0;

	if (!passes(v, offset, size))
		return;
	count_add(&v->config_reads, 1);
	if (!get(v, v->config + offset, &now, size))
		now = UINT64_MAX;
	for (uint32_t i = 0; i < size; i++) {
		uint64_t byte = UINT64_C(0xff) << (8 * i);
		if (v->pass[offset + i])
			*value = (*value & ~byte) | (now & byte);
	}
}

// The kernel keeps from a function's configuration space what would harm the host.
static void pass_write(void *opaque, uint32_t offset, uint32_t size, uint64_t value)
{
	struct vfiopci *v = opaque;
	uint32_t first = 0;

	if (!passes(v, offset, size))
		return;
	count_add(&v->config_writes, 1);
	for (uint32_t i = 0; i <= size; i++) {
		if (i < size && v->pass[offset + i])
			continue;
		if (i > first) {
			uint64_t part = value >> (8 * first); // GUEST: any bits
			put(v, v->config + offset + first, &part, i - first);
		}
		first = i + 1;
	}
}

static const struct pci_pass_ops pass_ops = { pass_read, pass_write };

// Context: root's lock held, so that the device's follow the guest's in order.
static void command_written(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct vfiopci *v = opaque;
	// GUEST: any bits; these are safe
	uint16_t command = (uint16_t)(pci_get(f, PCI_COMMAND, 2) & COMMAND_GUEST) | COMMAND_FORCED;

	(void)offset, (void)size;
	put(v, v->config + PCI_COMMAND, &command, sizeof(command));
}

static const struct pci_cap_ops command_ops = { .written = command_written };

int vfiopci_adopt(struct vfiopci *v, struct pci_func *f, uint64_t at, const uint8_t *bytes,
		  const uint8_t *pass, uint32_t len)
{
	if (len != PCI_CONFIG_CLASSIC && len != PCI_CONFIG_SIZE)
		return -EINVAL;
	v->func = f;
	v->config = at;
	memcpy(v->pass, pass, len);
	memcpy(f->config, bytes, len);
	if (len == PCI_CONFIG_SIZE)
		f->last_ext_cap = PCI_CONFIG_CLASSIC;
	pci_pass(f, &pass_ops, v);
	return pci_hook(f, PCI_COMMAND, 2, &command_ops, v);
}

// --- lifetime

struct vfiopci *vfiopci_create(int fd)
{
	struct vfiopci *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	// An access may take as long as the device or the kernel makes it: no lock over it. All
	// that it touches stands still once there are windows, or is atomic.
	dev_init(&v->dev, &trapped_ops, DEV_UPCALL);
	lock_init(&v->irq_lock);
	v->fd = fd;
	v->held = true;
	v->trigger = v->resample = -1;
	return v;
}

void vfiopci_destroy(struct vfiopci *v)
{
	dev_deinit(&v->dev);
	free(v);
}

void vfiopci_counts(struct vfiopci *v, struct vfiopci_counts *ret)
{
	*ret = (struct vfiopci_counts){
		.reads = count_get(&v->reads),
		.writes = count_get(&v->writes),
		.config_reads = count_get(&v->config_reads),
		.config_writes = count_get(&v->config_writes),
		.connects = count_get(&v->connects),
		.failures = count_get(&v->failures),
	};
}
