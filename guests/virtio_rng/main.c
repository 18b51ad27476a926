// SPDX-License-Identifier: Apache-2.0
// The entropy device as its driver uses it, as a careless one does, and (hammer.c) as four at once
// do.
#include "pci.h"
#include "rng.h"

#define VEC_CONFIG 0x51
#define VEC_QUEUE 0x52

struct virtio v;
struct vring ring;
u8 buffer[8][BYTES];

void probe(u64 features, u16 vector)
{
	check(virtio_open(&v, RNG));
	check(virtio_negotiate(&v, features));
	virtio_queue(&v, 0, &ring, vector);
	virtio_add_status(&v, VIRTIO_DRIVER_OK);
	check_equal(virtio_status(&v), VIRTIO_READY);
}

void one_request(void)
{
	memset(buffer, 0, sizeof(buffer));
	vring_offer(&ring, buffer[0], BYTES);
	virtio_notify(&v, 0);
	check_equal(vring_wait(&ring), BYTES);
	check(!all_zero(buffer[0], BYTES));
}

static void polled(void)
{
	u32 i;

	probe(ALL, VIRTIO_NO_VECTOR);
	for (i = 0; i < 100; i++)
		one_request();
}

static void full_ring(void)
{
	u32 i;

	probe(ALL, VIRTIO_NO_VECTOR);
	check_equal(ring.size, 8);
	memset(buffer, 0, sizeof(buffer));
	for (i = 0; i < 8; i++)
		vring_offer(&ring, buffer[i], BYTES);
	virtio_notify(&v, 0);
	for (i = 0; i < 8; i++)
		check_equal(vring_wait(&ring), BYTES);
	for (i = 0; i < 8; i++)
		check(!all_zero(buffer[i], BYTES));
}

static void kick_before_driver_ok(void)
{
	check(virtio_open(&v, RNG));
	check(virtio_negotiate(&v, ALL));
	virtio_queue(&v, 0, &ring, VIRTIO_NO_VECTOR);
	vring_offer(&ring, buffer[0], BYTES);
	virtio_notify(&v, 0);
	delay_us(10000);
	check_equal(READ_ONCE(ring.used.idx), 0);
	virtio_add_status(&v, VIRTIO_DRIVER_OK);
	check_equal(vring_wait(&ring), BYTES);
}

static void refuses(void)
{
	check(virtio_open(&v, RNG));
	check(!virtio_negotiate(&v, ~VIRTIO_F_VERSION_1));
	check_equal(virtio_status(&v), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	virtio_add_status(&v, VIRTIO_DRIVER_OK);
	check_equal(virtio_status(&v), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	probe(VIRTIO_F_VERSION_1, VIRTIO_NO_VECTOR);
	one_request();
}

static void msix(void)
{
	u32 i;

	irq_begin();
	irq_reset();
	irq_count_on(VEC_CONFIG);
	irq_count_on(VEC_QUEUE);
	check(virtio_open(&v, RNG));
	virtio_vectors(&v, true);
	virtio_vector(&v, 0, VEC_CONFIG);
	virtio_vector(&v, 1, VEC_QUEUE);
	probe(ALL, 1);
	for (i = 1; i <= 20; i++) {
		/* The used event lies behind the ring's entries. */
		ring.avail.ring[ring.size] = ring.used.idx;
		vring_offer(&ring, buffer[0], BYTES);
		virtio_notify(&v, 0);
		check_equal(irq_wait(VEC_QUEUE, i, SLOW_MS), i);
		check_equal(vring_wait(&ring), BYTES);
	}
	check_equal(irq_counts[VEC_CONFIG], 0);
	virtio_vectors(&v, false);
}

static void pin(void)
{
	u32 line;

	irq_begin();
	irq_reset();
	check(virtio_open(&v, RNG));
	line = pci_read8(v.devfn, PCI_INTERRUPT_LINE);
	probe(VIRTIO_F_VERSION_1, VIRTIO_NO_VECTOR);
	irq_count_on(VEC_QUEUE);
	vring_offer(&ring, buffer[0], BYTES);
	virtio_notify(&v, 0);
	check_equal(vring_wait(&ring), BYTES);
	/* The level is there already; the interrupt is taken once, and the status lowers it. */
	check(WAIT_FOR(pci_read(v.devfn, PCI_COMMAND) & 1u << 19, SLOW_MS));
	check(line < ioapic_pins());
	check_equal(read8(v.isr), 1);
	check_equal(read8(v.isr), 0);
	check(!(pci_read(v.devfn, PCI_COMMAND) & 1u << 19));
}

static void breaks_and_recovers(void)
{
	probe(ALL, VIRTIO_NO_VECTOR);
	one_request();
	ring.desc[1] = (struct vring_desc){
		.address = 0x100000, .length = 8, .flags = VRING_NEXT, .next = 1
	};
	ring.avail.ring[1] = 1;
	__atomic_store_n(&ring.avail.idx, 2, __ATOMIC_SEQ_CST);
	virtio_notify(&v, 0);
	check(WAIT_FOR(virtio_status(&v) & VIRTIO_NEEDS_RESET, SLOW_MS));
	check_equal(READ_ONCE(ring.used.idx), 1);
	probe(ALL, VIRTIO_NO_VECTOR);
	one_request();
}

static void bad_address(void)
{
	check(virtio_open(&v, RNG));
	check(virtio_negotiate(&v, ALL));
	write16(v.common + VIRTIO_QUEUE_SELECT, 0);
	write32(v.common + VIRTIO_QUEUE_DESC + 4, 0xffff);
	write16(v.common + VIRTIO_QUEUE_ENABLE, 1);
	virtio_add_status(&v, VIRTIO_DRIVER_OK);
	check(WAIT_FOR(virtio_status(&v) & VIRTIO_NEEDS_RESET, SLOW_MS));
	probe(ALL, VIRTIO_NO_VECTOR);
	one_request();
}

static void queue_reset(void)
{
	u32 i;

	probe(ALL, VIRTIO_NO_VECTOR);
	for (i = 0; i < 10; i++) {
		one_request();
		write16(v.common + VIRTIO_QUEUE_RESET, 1);
		check(WAIT_FOR(!read16(v.common + VIRTIO_QUEUE_RESET), SLOW_MS));
		check_equal(read16(v.common + VIRTIO_QUEUE_ENABLE), 0);
		virtio_queue(&v, 0, &ring, VIRTIO_NO_VECTOR);
	}
	one_request();
}

/* All of a probe through configuration space alone. */
static void aim(u32 offset, u32 length)
{
	pci_write(v.devfn, v.window + 8, offset);
	pci_write(v.devfn, v.window + 12, length);
}

static void window(void)
{
	check(virtio_open(&v, RNG));
	check(virtio_reset(&v));
	aim(VIRTIO_STATUS, 1);
	pci_write(v.devfn, v.window + 16, VIRTIO_ACKNOWLEDGE);
	check_equal(virtio_status(&v), VIRTIO_ACKNOWLEDGE);
	check_equal(pci_read8(v.devfn, v.window + 16), VIRTIO_ACKNOWLEDGE);
	aim(VIRTIO_NUM_QUEUES, 2);
	check_equal(pci_read16(v.devfn, v.window + 16), 1);
	aim(0x8000, 4);
	check_equal(pci_read(v.devfn, v.window + 16), 0xffffffff);
}

/* A BAR that moves while the device works. */
static void moves(void)
{
	u64 old;
	u32 to = 0xd0000000;

	probe(ALL, VIRTIO_NO_VECTOR);
	one_request();
	old = pci_bar(v.devfn, 0);
	pci_write(v.devfn, PCI_BAR0, to);
	check_equal(read32(old + VIRTIO_STATUS), 0xffffffff);
	v.common = v.common - old + to;
	v.isr = v.isr - old + to;
	if (!v.notify_port)
		v.notify = v.notify - old + to;
	check_equal(virtio_status(&v), VIRTIO_READY);
	one_request();
	pci_write(v.devfn, PCI_BAR0, (u32)old);
	probe(ALL, VIRTIO_NO_VECTOR);
	one_request();
}

const struct test tests[] = {
	{ "polled", polled },
	{ "full-ring", full_ring },
	{ "kick-before-driver-ok", kick_before_driver_ok },
	{ "refuses", refuses },
	{ "msix", msix },
	{ "pin", pin },
	{ "breaks-and-recovers", breaks_and_recovers },
	{ "bad-address", bad_address },
	{ "queue-reset", queue_reset },
	{ "window", window },
	{ "moves", moves },
	{ "four-at-once", four_at_once },
	{},
};
