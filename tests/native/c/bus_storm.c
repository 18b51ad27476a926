// SPDX-License-Identifier: Apache-2.0
// Readers on several threads, some of which come and go, while devices are claimed, released and
// freed. A device is freed as soon as the bus says that nobody can be inside it any more: an access
// that reaches it later is a use after free. One device moves itself in the middle of an access,
// another is moved to and fro: an access that covers both places finds it at exactly one.
#include <sched.h>
#include <stdatomic.h>

#include "bus.h"
#include "check.h"

#define READERS 3
#define PLACES 16
#define STEP 0x100
#define LENGTH 0x40
#define ROUNDS 3000
#define MOVER 0x8000 // this address and the next STEP are the mover's
#define HOPPER 0xa000 // the hopper, one byte long, is here or at the next address

struct storm_dev {
	struct dev dev;
	uint64_t base;
	uint64_t accesses; // plain: the device's lock guards it
};

static struct bus *bus;
static _Atomic bool done;
static _Atomic uint64_t hits, misses, moves;
static _Atomic uint64_t mover_base = MOVER;

static int storm_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct storm_dev *s = container_of(d, struct storm_dev, dev);

	CHECK(offset + size <= LENGTH && region == (uint32_t)(s->base / STEP));
	s->accesses++;
	*ret = s->base + offset;
	return 0;
}

static int storm_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	struct storm_dev *s = container_of(d, struct storm_dev, dev);

	CHECK(offset + size <= LENGTH && region == (uint32_t)(s->base / STEP));
	s->accesses += value & 1;
	return 0;
}

static const struct dev_ops storm_ops = { .read = storm_read, .write = storm_write };

static struct storm_dev *storm_create(uint64_t base)
{
	struct storm_dev *s = calloc(1, sizeof(*s));

	CHECK(s);
	dev_init(&s->dev, &storm_ops, 0);
	s->base = base;
	return s;
}

static void storm_destroy(struct storm_dev *s)
{
	dev_deinit(&s->dev);
	free(s);
}

// Like a base address register: a write moves the claim that the access came through.
static int mover_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	uint64_t from = atomic_load(&mover_base), to = MOVER + (value & 1) * STEP;

	(void)region, (void)offset, (void)size;
	if (from == to)
		return 0;
	if (value & 2) {
		CHECK(!bus_move(bus, from, LENGTH, to));
	} else {
		CHECK(!bus_release(bus, from, LENGTH));
		CHECK(!bus_claim(bus, to, LENGTH, d, 0));
	}
	CHECK(bus_inside(bus) && !bus_quiet(bus, bus_serial(bus)));
	atomic_store(&mover_base, to);
	atomic_fetch_add(&moves, 1);
	return 0;
}

static int mover_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size;
	*ret = 0x55;
	return 0;
}

static const struct dev_ops mover_ops = { .read = mover_read, .write = mover_write };

static void access_once(struct bus_reader *r, unsigned int *seed)
{
	static const uint32_t sizes[] = { 1, 2, 4, 8 };
	uint32_t size = sizes[rand_r(seed) % 4];
	uint64_t base = (uint64_t)(1 + rand_r(seed) % PLACES) * STEP;
	uint64_t offset = (uint64_t)rand_r(seed) % (LENGTH - size + 1), value = 1;
	uint64_t ones = size == 8 ? UINT64_MAX : (1ULL << (8 * size)) - 1;

	if (rand_r(seed) % 16 == 0) {
		CHECK(!bus_read(bus, r, HOPPER, 2, &value));
		CHECK(value == 0xff55 || value == 0x55ff);
	} else if (rand_r(seed) % 16 == 0) {
		CHECK(!bus_write(bus, r, MOVER + (uint64_t)(rand_r(seed) % 2) * STEP, 1,
				 (uint64_t)rand_r(seed)));
	} else if (rand_r(seed) % 2) {
		CHECK(!bus_write(bus, r, base + offset, size, value));
	} else {
		CHECK(!bus_read(bus, r, base + offset, size, &value));
		CHECK(value == ones || value == ((base + offset) & ones));
		atomic_fetch_add(value == ones ? &misses : &hits, 1);
	}
}

static void *reader(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;
	struct bus_reader *r = malloc(sizeof(*r));

	CHECK(r && !bus_add_reader(bus, r));
	bus_reader_bind(r);
	for (unsigned int i = 0; !atomic_load(&done); i++) {
		access_once(r, &seed);
		if (i % 64 == 63)
			sched_yield(); // so that few are preempted inside an access
		if (seed % 2 && i % 256 == 255) { // as a vCPU that is unplugged and plugged in
			bus_remove_reader(bus, r);
			free(r);
			r = malloc(sizeof(*r));
			CHECK(r && !bus_add_reader(bus, r));
			bus_reader_bind(r);
		}
	}
	bus_remove_reader(bus, r);
	free(r);
	return NULL;
}

static void wait_until_unused(void)
{
	uint64_t serial = bus_serial(bus);

	CHECK(!bus_inside(bus));
	while (!bus_quiet(bus, serial))
		sched_yield();
}

static void claim_and_release(void)
{
	struct storm_dev *there[PLACES] = { 0 };
	unsigned int seed = 99;

	for (int i = 0; i < ROUNDS; i++) {
		int place = rand_r(&seed) % PLACES;
		uint64_t base = (uint64_t)(1 + place) * STEP;
		if (!there[place]) {
			there[place] = storm_create(base);
			CHECK(!bus_claim(bus, base, LENGTH, &there[place]->dev,
					 (uint32_t)(base / STEP)));
		} else {
			CHECK(!bus_release(bus, base, LENGTH));
			wait_until_unused();
			storm_destroy(there[place]);
			there[place] = NULL;
		}
		CHECK(!bus_move(bus, HOPPER + (uint64_t)(i % 2), 1,
				HOPPER + (uint64_t)(1 - i % 2)));
		if (i % 8 == 0)
			sched_yield();
	}
	for (int place = 0; place < PLACES; place++) {
		if (!there[place])
			continue;
		CHECK(!bus_release(bus, (uint64_t)(1 + place) * STEP, LENGTH));
		wait_until_unused();
		storm_destroy(there[place]);
	}
}

int main(void)
{
	pthread_t thread[READERS];
	struct dev mover, hopper;

	CHECK((bus = bus_create(0x10000)));
	dev_init(&mover, &mover_ops, 0);
	dev_init(&hopper, &mover_ops, 0);
	CHECK(!bus_claim(bus, MOVER, LENGTH, &mover, 0) && !bus_claim(bus, HOPPER, 1, &hopper, 0));
	for (uintptr_t i = 0; i < READERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, reader, (void *)(i + 1)));
	claim_and_release();
	while (!atomic_load(&hits) || !atomic_load(&misses) || !atomic_load(&moves))
		sched_yield();
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	CHECK(!bus_release(bus, atomic_load(&mover_base), LENGTH));
	CHECK(bus_quiet(bus, bus_serial(bus)));
	dev_deinit(&mover);
	dev_deinit(&hopper);
	bus_destroy(bus);
	printf("hits %llu, misses %llu, moves %llu\n", (unsigned long long)atomic_load(&hits),
	       (unsigned long long)atomic_load(&misses), (unsigned long long)atomic_load(&moves));
	return 0;
}
