// SPDX-License-Identifier: Apache-2.0
// Asks the entropy device for bytes again and again, while the host does what it likes: requests=
// (2000) of them, by interrupt, several under way. Each answer has all of its bytes.
#include "guest.h"
#include "virtio.h"

#define RNG 4
#define VEC 0x52
#define SLOW_MS 60000
#define BYTES 32
#define BATCH 4

static struct virtio v;
static struct vring ring;
static u8 buffer[8][BYTES];

static void traffic(void)
{
	u64 left = arg_u64("requests", 2000);
	u32 i, seen = 0;

	irq_begin();
	irq_reset();
	irq_count_on(VEC);
	check(virtio_open(&v, RNG));
	virtio_vectors(&v, true);
	virtio_vector(&v, 1, VEC);
	check(virtio_negotiate(&v, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET));
	virtio_queue(&v, 0, &ring, 1);
	virtio_add_status(&v, VIRTIO_DRIVER_OK);
	printf("# ready\n");
	for (; left >= BATCH; left -= BATCH) {
		for (i = 0; i < BATCH; i++) {
			u8 *to = buffer[ring.avail.idx % ring.size];
			memset(to, 0, BYTES);
			vring_offer(&ring, to, BYTES);
		}
		virtio_notify(&v, 0);
		seen = irq_wait(VEC, seen + 1, SLOW_MS);
		for (i = 0; i < BATCH; i++) {
			u16 place = ring.seen % ring.size;
			check_equal(vring_wait(&ring), BYTES);
			check_equal(ring.used.ring[place].id, place);
			check(!all_zero(buffer[place], BYTES));
		}
	}
	check(seen);
	check_equal(virtio_status(&v), VIRTIO_READY);
}

const struct test tests[] = {
	{ "traffic", traffic },
	{},
};
