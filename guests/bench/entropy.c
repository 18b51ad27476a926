// SPDX-License-Identifier: Apache-2.0
/*
 * A request of 8 random bytes and back: doorbell, I/O thread, ring, interrupt that wakes a halted
 * CPU. entropy=0 asks a virtio entropy device, entropy=ADDRESS rawvmm's thread: the ring lies there
 * and is rung at doorbell=.
 */
#include "entropy.h"
#include "virtio.h"

#define RNG 4
#define VEC 0x61 // rawvmm sends it too
#define BYTES 8

static struct virtio v;
static struct vring *ring, own;
static u8 buffer[BYTES];
static u16 doorbell;

static bool begin_virtio(void)
{
	if (!virtio_open(&v, RNG) || !virtio_negotiate(&v, VIRTIO_F_VERSION_1))
		return false;
	ring = &own;
	virtio_queue(&v, 0, ring, 0);
	virtio_vector(&v, 0, VEC);
	virtio_vectors(&v, true);
	virtio_add_status(&v, VIRTIO_DRIVER_OK);
	return virtio_status(&v) == VIRTIO_READY;
}

static bool begin_raw(u64 address)
{
	ring = (struct vring *)address;
	ring->size = 8;
	doorbell = (u16)arg_u64("doorbell", 0);
	return doorbell;
}

static void begin(void)
{
	u64 address = arg_u64("entropy", 0);

	irq_begin();
	irq_count_on(VEC);
	if (!(address ? begin_raw(address) : begin_virtio()))
		panic("there is no entropy device");
}

static void request(void)
{
	vring_offer(ring, buffer, BYTES);
	if (doorbell)
		outw(doorbell, 0);
	else
		virtio_notify(&v, 0);
	while (__atomic_load_n(&ring->used.idx, __ATOMIC_ACQUIRE) == ring->seen) {
		irq_on_halt();
		irq_off();
	}
	ring->seen++;
}

u64 op_entropy(u64 n)
{
	u64 start;

	if (!ring)
		begin();
	start = rdtsc();
	for (; n; n--)
		request();
	return rdtsc() - start;
}
