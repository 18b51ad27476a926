// SPDX-License-Identifier: Apache-2.0
// The storm on an entropy device.
#define ENTRIES 8 // RNG_QUEUE_SIZE
#include "virtio_rng.h"
#include "virtiostorm.h"

#define REQUESTS 1000

static void requests_are_answered(void)
{
	for (uint16_t i = 1; i <= REQUESTS; i++) {
		offer(0);
		await_used(0, i);
	}
}

int main(void)
{
	struct vclock *clock = vclock_create(false);

	storm_begin();
	for (uint16_t i = 0; i < ENTRIES; i++)
		storm_chain(0, i,
			    &(struct vring_desc){ buffer_at(0, i), 64, VRING_DESC_F_WRITE, 0 }, 1);
	struct virtio_rng *rng = virtio_rng_create(&(struct virtio_rng_setup){
		.mem = mem, .loop = loop, .clock = clock, .source = -1 });
	CHECK(clock && rng);
	storm(&rng->vdev, 20000, requests_are_answered);
	storm_report();
	CHECK(count_get(&rng->bytes) > REQUESTS * 64);
	virtio_rng_destroy(rng);
	vclock_destroy(clock);
	storm_end();
	return 0;
}
