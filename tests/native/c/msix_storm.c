// SPDX-License-Identifier: Apache-2.0
// Device threads fire vectors while vCPUs mask them, move their messages and switch the function
// off and on, and another thread saves states: nobody gets in another's way, and no interrupt is
// lost. Without KVM the eventfds keep all counts.
#include <unistd.h>

#include "check.h"
#include "msix.h"

#define VECTORS 5u
#define FIRES 20000u
#define FIRERS 2u

static struct msix *msix;
static struct irq_router *router;
static _Atomic bool done;

static void *fire(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (uint32_t i = 0; i < FIRES; i++)
		msix_fire(msix, (uint32_t)rand_r(&seed) % VECTORS);
	return NULL;
}

// What the bus does for a vCPU.
static void write_table(uint64_t offset, uint32_t size, uint64_t value)
{
	LOCKED(&msix->dev.lock);
	CHECK(!msix->dev.ops->write(&msix->dev, MSIX_TABLE, offset, size, value));
}

static void *drive(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;
	uint64_t value;

	while (!atomic_load(&done)) {
		uint64_t entry = (uint64_t)rand_r(&seed) % VECTORS * 16;
		write_table(entry + 12, 4, 1);
		write_table(entry, 8, 0xfee00000u | ((uint32_t)rand_r(&seed) % 256 << 12));
		write_table(entry + 8, 8, (uint32_t)rand_r(&seed) % 256);
		LOCKED(&msix->dev.lock);
		CHECK(!msix->dev.ops->read(&msix->dev, MSIX_PBA, 0, 8, &value));
		CHECK(!(value >> VECTORS));
	}
	return NULL;
}

static void *control(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	while (!atomic_load(&done)) {
		msix_control(msix, rand_r(&seed) % 4, rand_r(&seed) % 2);
		CHECK(msix_enabled(msix) || !msix_enabled(msix));
	}
	return NULL;
}

static void *save(void *opaque)
{
	static struct msix_state state;

	(void)opaque;
	while (!atomic_load(&done)) {
		msix_save(msix, &state);
		CHECK(state.vectors == VECTORS && state.pending[0] < 1u << VECTORS);
		CHECK(msix_pending(msix, 0) < 1u << VECTORS);
	}
	return NULL;
}

int main(void)
{
	void *(*const others[])(void *) = { drive, drive, control, save };
	pthread_t firer[FIRERS], other[ARRAY_LEN(others)];
	uint64_t total = 0, count;

	CHECK((router = router_create(-1)) && (msix = msix_create(router, -1, VECTORS)));
	for (uint32_t i = 0; i < VECTORS; i++)
		CHECK(!msix_set_gsi(msix, i, 24 + i));
	for (uintptr_t i = 0; i < ARRAY_LEN(others); i++)
		CHECK(!pthread_create(&other[i], NULL, others[i], (void *)(i + 1)));
	for (uintptr_t i = 0; i < FIRERS; i++)
		CHECK(!pthread_create(&firer[i], NULL, fire, (void *)(i + 9)));
	for (uint32_t i = 0; i < FIRERS; i++)
		pthread_join(firer[i], NULL);
	atomic_store(&done, true);
	for (uint32_t i = 0; i < ARRAY_LEN(others); i++)
		pthread_join(other[i], NULL);
	for (uint32_t i = 0; i < VECTORS; i++)
		if (read(msix_fd(msix, i), &count, sizeof(count)) == sizeof(count))
			total += count;
	CHECK(total == FIRES * FIRERS);
	msix_reset(msix);
	msix_destroy(msix);
	CHECK(!router_entries(router, NULL, 0));
	router_destroy(router);
	printf("%llu fired\n", (unsigned long long)total);
	return 0;
}
