// SPDX-License-Identifier: Apache-2.0
/*
 * rawvmm: the least an I/O thread can do. Wakes by the doorbell, serves a split ring of 8 entries
 * with random bytes, raises an MSI by irqfd. It trusts its guest.
 */
#include <err.h>
#include <linux/kvm.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "raw.h"

enum { ENTRIES = 8, GSI = 24, VECTOR = 0x61 };

/* As guests/lib/virtio.h lays it out, which has room for 64 entries. */
struct ring {
	struct vring_desc desc[64];
	uint16_t avail_flags, avail_idx, avail[65];
	uint16_t pad;
	uint16_t used_flags, used_idx;
	vring_used_elem_t used[64];
};

static struct ring *ring;
static int bell, irq;

static void serve(void)
{
	static uint16_t seen;

	while (seen != __atomic_load_n(&ring->avail_idx, __ATOMIC_ACQUIRE)) {
		uint16_t head = ring->avail[seen % ENTRIES];
		const struct vring_desc *d = &ring->desc[head];

		if (getrandom(ram + d->addr, d->len, 0) < 0)
			err(6, "getrandom");
		ring->used[seen++ % ENTRIES] = (vring_used_elem_t){ head, d->len };
	}
	__atomic_store_n(&ring->used_idx, seen, __ATOMIC_SEQ_CST);
}

static void *ring_thread(void *arg)
{
	uint64_t count;

	for (;;) {
		if (read(bell, &count, sizeof(count)) < 0)
			err(6, "doorbell");
		serve();
		count = 1;
		if (!(ring->avail_flags & VRING_AVAIL_F_NO_INTERRUPT) &&
		    write(irq, &count, sizeof(count)) < 0)
			err(6, "irqfd");
	}
	return arg;
}

static void make_irqfd(int vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = { .gsi = GSI,
			   .type = KVM_IRQ_ROUTING_MSI,
			   .u.msi = { .address_lo = 0xfee00000, .data = VECTOR } },
	};
	struct kvm_irqfd irqfd = { .gsi = GSI };

	irq = eventfd(0, EFD_CLOEXEC);
	irqfd.fd = (uint32_t)irq;
	CALL(vm, KVM_SET_GSI_ROUTING, &table);
	CALL(vm, KVM_IRQFD, &irqfd);
}

void raw_ring(int vm, int doorbell)
{
	pthread_t thread;

	ring = (struct ring *)(ram + opt.vring);
	bell = doorbell;
	make_irqfd(vm);
	if (pthread_create(&thread, NULL, ring_thread, NULL))
		errx(4, "no thread for the ring");
}
