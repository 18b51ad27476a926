// SPDX-License-Identifier: Apache-2.0
// Four drivers that know nothing of each other at one device.
#include "rng.h"

#define ROUNDS 400 // of each CPU

static u32 seed = 12345; // shared and raced for: all the better

static u32 any(u32 below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* As vring_offer(), but others write to the same ring. */
static void offer_racing(void)
{
	u32 place = any(8);

	ring.desc[place] = (struct vring_desc){ .address = (u64)(uintptr_t)buffer[any(8)],
						.length = BYTES,
						.flags = VRING_WRITE };
	ring.avail.ring[any(8)] = (u16)place;
	__atomic_add_fetch(&ring.avail.idx, 1, __ATOMIC_SEQ_CST);
	virtio_notify(&v, 0);
}

/* What four drivers that know nothing of each other do to one device. */
static void hammer(void)
{
	u32 i;

	for (i = 0; i < ROUNDS; i++) {
		switch (any(12)) {
		case 0:
			write8(v.common + VIRTIO_STATUS, 0);
			break;
		case 1:
			write8(v.common + VIRTIO_STATUS, (u8)any(256));
			break;
		case 2:
			write16(v.common + VIRTIO_QUEUE_RESET, 1);
			break;
		case 3:
			write32(v.common + any(8) * 4, any(0x7fffffff)); // no addresses
			break;
		case 4:
			virtio_queue(&v, 0, &ring, (u16)any(3));
			break;
		case 5:
		case 6:
			write8(v.common + VIRTIO_STATUS, 0);
			WAIT_FOR(!virtio_status(&v), 5); // others may start it meanwhile
			virtio_accept(&v, ALL);
			virtio_queue(&v, 0, &ring, VIRTIO_NO_VECTOR);
			virtio_add_status(&v, VIRTIO_DRIVER_OK);
			break;
		case 7:
			read32(v.common + any(15) * 4);
			break;
		default:
			offer_racing();
		}
	}
}

static u32 finished;

static void other_cpu(void)
{
	hammer();
	__atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
}

void four_at_once(void)
{
	u32 i;

	check(virtio_open(&v, RNG));
	smp_start(other_cpu);
	check(smp_wait(4, SLOW_MS));
	hammer();
	check(WAIT_FOR(READ_ONCE(finished) == 3, SLOW_MS));
	probe(ALL, VIRTIO_NO_VECTOR);
	for (i = 0; i < 100; i++)
		one_request();
}
