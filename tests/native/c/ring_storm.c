// SPDX-License-Identifier: Apache-2.0
// The coalesced ring between a guest that never stops writing and vCPUs that drain it: every write
// arrives once and in order, what was queued before a drain is at its device when that returns, and
// no drain lasts longer than the ring is long.
#include <sched.h>
#include <stdatomic.h>

#include "check.h"
#include "vcpu.h"

#define DRAINERS 2
#define DRAINS 1500 // of each
#define PORT 0x80
#define ENTRIES                                                                                    \
	((4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

static struct vmcore *vm;
static _Atomic uint32_t queued; // how many writes the guest has made; each carries its number
static _Atomic uint32_t arrived; // the number of the last one at the device
static _Atomic uint64_t drained;
static _Atomic bool done;

static int port_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size, (void)ret;
	return 0;
}

static int port_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size;
	CHECK((uint32_t)value == atomic_load(&arrived) + 1);
	atomic_store(&arrived, (uint32_t)value);
	return 0;
}

static const struct dev_ops port_ops = { .read = port_read, .write = port_write };

// As KVM does it: one slot stays free, and a full ring takes nothing.
static void *guest(void *opaque)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;

	(void)opaque;
	while (!atomic_load(&done)) {
		uint32_t last = ring->last, next = (last + 1) % (uint32_t)ENTRIES;
		if (next == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE)) {
			sched_yield();
			continue;
		}
		struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[last];
		uint32_t number = atomic_load(&queued) + 1;
		entry->phys_addr = PORT;
		entry->len = 4;
		entry->pio = 1;
		memcpy(entry->data, &number, sizeof(number));
		__atomic_store_n(&ring->last, next, __ATOMIC_RELEASE);
		atomic_store(&queued, number);
	}
	return NULL;
}

static void *drainer(void *opaque)
{
	(void)opaque;
	for (int i = 0; i < DRAINS || atomic_load(&drained) <= ENTRIES; i++) {
		uint32_t before = atomic_load(&queued);
		uint32_t n = vmcore_take(vm);
		CHECK(n < ENTRIES);
		CHECK((int32_t)(atomic_load(&arrived) - before) >= 0);
		atomic_fetch_add(&drained, n);
		sched_yield();
	}
	return NULL;
}

int main(void)
{
	struct bus *pio = bus_create(0x10000), *mmio = bus_create(1ULL << 52);
	pthread_t writer, thread[DRAINERS];
	struct dev port;

	CHECK(pio && mmio && (vm = vmcore_create(-1, pio, mmio)));
	dev_init(&port, &port_ops, 0);
	CHECK(!bus_claim(pio, PORT, 4, &port, 0));
	CHECK((vm->ring = aligned_alloc(4096, 4096)));
	memset(vm->ring, 0, 4096);
	vm->ring_max = ENTRIES;
	CHECK(!pthread_create(&writer, NULL, guest, NULL));
	for (int i = 0; i < DRAINERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, drainer, NULL));
	for (int i = 0; i < DRAINERS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&done, true);
	pthread_join(writer, NULL);
	atomic_fetch_add(&drained, vmcore_drain(vm));
	CHECK(atomic_load(&drained) == atomic_load(&queued) && atomic_load(&drained) > ENTRIES);
	CHECK(atomic_load(&arrived) == atomic_load(&queued) && vm->coalesced == drained);
	printf("writes %u\n", atomic_load(&queued));
	free(vm->ring);
	vmcore_destroy(vm);
	dev_deinit(&port);
	bus_destroy(pio);
	bus_destroy(mmio);
	return 0;
}
