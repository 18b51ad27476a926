/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of modern virtio PCI functions (virtio 1.2, 4.1): step by step, for tests. */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "cpu.h"
#include "types.h"

#define VIRTIO_VENDOR 0x1af4
#define VIRTIO_MODERN 0x1040 /* + the device's number */

#define VIRTIO_ACKNOWLEDGE 1
#define VIRTIO_DRIVER 2
#define VIRTIO_DRIVER_OK 4
#define VIRTIO_FEATURES_OK 8
#define VIRTIO_NEEDS_RESET 0x40
#define VIRTIO_READY 15

#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_RING_RESET (1ull << 40)
#define VIRTIO_NO_VECTOR 0xffff

/* struct virtio_pci_common_cfg */
#define VIRTIO_DEVICE_FEATURE_SELECT 0x00
#define VIRTIO_DEVICE_FEATURE 0x04
#define VIRTIO_DRIVER_FEATURE_SELECT 0x08
#define VIRTIO_DRIVER_FEATURE 0x0c
#define VIRTIO_CONFIG_VECTOR 0x10
#define VIRTIO_NUM_QUEUES 0x12
#define VIRTIO_STATUS 0x14
#define VIRTIO_QUEUE_SELECT 0x16
#define VIRTIO_QUEUE_SIZE 0x18
#define VIRTIO_QUEUE_VECTOR 0x1a
#define VIRTIO_QUEUE_ENABLE 0x1c
#define VIRTIO_QUEUE_NOTIFY_OFF 0x1e
#define VIRTIO_QUEUE_DESC 0x20
#define VIRTIO_QUEUE_AVAIL 0x28
#define VIRTIO_QUEUE_USED 0x30
#define VIRTIO_QUEUE_RESET 0x3a

#define VRING_MAX 64
#define VRING_NEXT 1
#define VRING_WRITE 2

struct vring_desc {
	u64 address;
	u32 length;
	u16 flags, next;
};

/* One ring, at its own addresses: memory is mapped one to one. */
struct vring {
	struct vring_desc desc[VRING_MAX] __attribute__((aligned(16)));
	struct {
		u16 flags, idx, ring[VRING_MAX + 1];
	} avail __attribute__((aligned(4)));
	struct {
		u16 flags, idx;
		struct {
			u32 id, length;
		} ring[VRING_MAX];
		u16 avail_event;
	} used __attribute__((aligned(4)));
	u16 size, seen; /* seen: used elements taken */
};

struct virtio {
	u32 devfn;
	u32 msix, window; /* capabilities */
	u64 common, isr, device, notify; /* addresses; notify may be a port */
	bool notify_port;
	u32 notify_step;
	u64 vectors; /* address of the MSI-X table */
};

/* Finds the function and its structures and lets it work. False if there is none. */
bool virtio_open(struct virtio *v, u16 number);
u8 virtio_status(const struct virtio *v);
void virtio_add_status(const struct virtio *v, u8 bits);
/* Waits until the device says that it is done; false after 30 s. */
bool virtio_reset(const struct virtio *v);
u64 virtio_offered(const struct virtio *v);
/* Up to FEATURES_OK; whether the device agreed to these of the features it offers. */
bool virtio_accept(const struct virtio *v, u64 features);
/* The same after a reset. */
bool virtio_negotiate(const struct virtio *v, u64 features);
/* Zeroes the ring and enables the queue; `vector` may be VIRTIO_NO_VECTOR. */
void virtio_queue(const struct virtio *v, u16 queue, struct vring *ring, u16 vector);
void virtio_notify(const struct virtio *v, u16 queue);
/* MSI-X vector `n` comes as `vector` on this CPU. */
void virtio_vector(const struct virtio *v, u32 n, u8 vector);
void virtio_vectors(const struct virtio *v, bool on);

/* Makes one buffer available for writing; not yet notified. */
void vring_offer(struct vring *ring, void *buffer, u32 length);
/* Waits for the next used element; its length, or -1 after 30 s. */
s64 vring_wait(struct vring *ring);
#endif
