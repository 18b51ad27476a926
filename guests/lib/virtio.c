// SPDX-License-Identifier: Apache-2.0
#include "virtio.h"

#include "apic.h"
#include "pci.h"
#include "time.h"

#define CAP_VENDOR 0x09
#define COMMON 1
#define NOTIFY 2
#define ISR 3
#define DEVICE 4
#define WINDOW 5
#define SLOW_MS 30000

static u64 bar(u32 devfn, u32 n, bool *port)
{
	u32 low = pci_read(devfn, PCI_BAR0 + 4 * n);

	*port = low & 1;
	return *port ? low & ~3u : pci_bar(devfn, n);
}

static void structure(struct virtio *v, u32 at)
{
	u32 type = pci_read8(v->devfn, at + 3);
	bool port;
	u64 address = bar(v->devfn, pci_read8(v->devfn, at + 4) % 6, &port);

	address += pci_read(v->devfn, at + 8);
	if (type == COMMON) {
		v->common = address;
	} else if (type == ISR) {
		v->isr = address;
	} else if (type == DEVICE) {
		v->device = address;
	} else if (type == WINDOW) {
		v->window = at;
	} else if (type == NOTIFY && !v->notify) {
		v->notify = address;
		v->notify_port = port;
		v->notify_step = pci_read(v->devfn, at + 16);
	}
}

bool virtio_open(struct virtio *v, u16 number)
{
	u32 at, left;
	bool port;

	memset(v, 0, sizeof(*v));
	v->devfn = pci_find(VIRTIO_VENDOR, (u16)(VIRTIO_MODERN + number));
	if (v->devfn == PCI_NONE)
		return false;
	pci_write16(v->devfn, PCI_COMMAND,
		    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	at = pci_read8(v->devfn, PCI_CAPABILITIES) & 0xfc;
	for (left = 48; at && left; left--) {
		if (pci_read8(v->devfn, at) == CAP_VENDOR)
			structure(v, at);
		at = pci_read8(v->devfn, at + 1) & 0xfc;
	}
	v->msix = pci_capability(v->devfn, PCI_CAP_MSIX);
	at = pci_read(v->devfn, v->msix + 4);
	v->vectors = bar(v->devfn, at % 8, &port) + (at & ~7u);
	return v->common && v->isr && v->notify && v->msix;
}

u8 virtio_status(const struct virtio *v)
{
	return read8(v->common + VIRTIO_STATUS);
}

void virtio_add_status(const struct virtio *v, u8 bits)
{
	write8(v->common + VIRTIO_STATUS, (u8)(virtio_status(v) | bits));
}

bool virtio_reset(const struct virtio *v)
{
	write8(v->common + VIRTIO_STATUS, 0);
	return WAIT_FOR(!virtio_status(v), SLOW_MS);
}

u64 virtio_offered(const struct virtio *v)
{
	u64 low;

	write32(v->common + VIRTIO_DEVICE_FEATURE_SELECT, 0);
	low = read32(v->common + VIRTIO_DEVICE_FEATURE);
	write32(v->common + VIRTIO_DEVICE_FEATURE_SELECT, 1);
	return (u64)read32(v->common + VIRTIO_DEVICE_FEATURE) << 32 | low;
}

bool virtio_accept(const struct virtio *v, u64 features)
{
	virtio_add_status(v, VIRTIO_ACKNOWLEDGE);
	virtio_add_status(v, VIRTIO_DRIVER);
	features &= virtio_offered(v);
	write32(v->common + VIRTIO_DRIVER_FEATURE_SELECT, 0);
	write32(v->common + VIRTIO_DRIVER_FEATURE, (u32)features);
	write32(v->common + VIRTIO_DRIVER_FEATURE_SELECT, 1);
	write32(v->common + VIRTIO_DRIVER_FEATURE, (u32)(features >> 32));
	virtio_add_status(v, VIRTIO_FEATURES_OK);
	return virtio_status(v) & VIRTIO_FEATURES_OK;
}

bool virtio_negotiate(const struct virtio *v, u64 features)
{
	return virtio_reset(v) && virtio_accept(v, features);
}

static void write_address(u64 reg, const void *p)
{
	u64 address = (u64)(uintptr_t)p;

	write32(reg, (u32)address);
	write32(reg + 4, (u32)(address >> 32));
}

void virtio_queue(const struct virtio *v, u16 queue, struct vring *ring, u16 vector)
{
	memset(ring, 0, sizeof(*ring));
	write16(v->common + VIRTIO_QUEUE_SELECT, queue);
	ring->size = read16(v->common + VIRTIO_QUEUE_SIZE);
	if (ring->size > VRING_MAX)
		ring->size = VRING_MAX;
	write16(v->common + VIRTIO_QUEUE_SIZE, ring->size);
	write16(v->common + VIRTIO_QUEUE_VECTOR, vector);
	write_address(v->common + VIRTIO_QUEUE_DESC, ring->desc);
	write_address(v->common + VIRTIO_QUEUE_AVAIL, &ring->avail);
	write_address(v->common + VIRTIO_QUEUE_USED, &ring->used);
	write16(v->common + VIRTIO_QUEUE_ENABLE, 1);
}

void virtio_notify(const struct virtio *v, u16 queue)
{
	u64 at = v->notify + (u64)queue * v->notify_step;

	if (v->notify_port)
		outw((u16)at, queue);
	else
		write16(at, queue);
}

void virtio_vector(const struct virtio *v, u32 n, u8 vector)
{
	u64 entry = v->vectors + 16 * n;

	write32(entry, 0xfee00000u | apic_id() << 12);
	write32(entry + 4, 0);
	write32(entry + 8, vector);
	write32(entry + 12, 0);
}

void virtio_vectors(const struct virtio *v, bool on)
{
	pci_write16(v->devfn, v->msix + 2, on ? 0x8000 : 0);
}

void vring_offer(struct vring *ring, void *buffer, u32 length)
{
	u16 place = ring->avail.idx % ring->size;

	ring->desc[place] = (struct vring_desc){ .address = (u64)(uintptr_t)buffer,
						 .length = length,
						 .flags = VRING_WRITE };
	ring->avail.ring[place] = place;
	__atomic_store_n(&ring->avail.idx, (u16)(ring->avail.idx + 1), __ATOMIC_SEQ_CST);
}

s64 vring_wait(struct vring *ring)
{
	if (!WAIT_FOR(__atomic_load_n(&ring->used.idx, __ATOMIC_ACQUIRE) != ring->seen, SLOW_MS))
		return -1;
	return ring->used.ring[ring->seen++ % ring->size].length;
}
