// SPDX-License-Identifier: Apache-2.0
// Two guests that hammer every register of the platform's devices on the split irqchip, while
// timers fire on the loop, a local APIC acknowledges, and state is saved, loaded and reset. Lock
// orders are checked by the thread sanitizer on the way.
#include <stdatomic.h>
#include <unistd.h>

#include "acpiregs.h"
#include "check.h"
#include "i8042.h"
#include "legacy_route.h"
#include "loop.h"
#include "split_sink.h"
#include "testdev.h"

#define GUESTS 2
#define ACCESSES 400000
#define DEVICES 8

struct target {
	struct dev *dev;
	uint32_t regions;
	uint64_t bytes; // of each region, at least
	uint32_t sizes; // largest access
};

static struct target target[DEVICES];
static struct acpiregs *acpi;
static struct pit *pit;
static struct rtc *rtc;
static struct hpet *hpet;
static struct i8042 *kbc;
static struct testdev *testdev;
static struct pic *pic;
static struct ioapic *ioapic;
static struct irq_router *router;
static struct loop *loop;
static _Atomic bool done;
static _Atomic uint64_t messages, kicks;

static void guest_access(unsigned int *seed)
{
	struct target *t = &target[(unsigned int)rand_r(seed) % DEVICES];
	uint32_t region = (uint32_t)rand_r(seed) % t->regions;
	uint32_t size = 1u << (unsigned int)rand_r(seed) % 4;
	uint64_t value = (uint64_t)rand_r(seed) << 31 ^ (uint64_t)rand_r(seed);

	while (size > t->sizes)
		size /= 2;
	uint64_t offset = (uint64_t)rand_r(seed) % (t->bytes - size + 1);
	if (t->dev == &ioapic->dev)
		offset &= ~0xfull; // where its registers are
	lock_take(&t->dev->lock);
	if (rand_r(seed) % 2)
		CHECK(t->dev->ops->read(t->dev, region, offset, size, &value) >= 0);
	else
		CHECK(t->dev->ops->write(t->dev, region, offset, size, value) >= 0);
	lock_drop(&t->dev->lock);
}

static void *guest(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < ACCESSES; i++)
		guest_access(&seed);
	return NULL;
}

static int message(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	CHECK(address >> 20 == 0xfee && !(data >> 16));
	atomic_fetch_add(&messages, 1);
	return 1;
}

static void kick(void *opaque, int level)
{
	(void)opaque, (void)level;
	atomic_fetch_add(&kicks, 1);
}

// The vCPU's side: acknowledges, ends interrupts, presses the power button.
static void *processor(void *opaque)
{
	unsigned int seed = 77;

	(void)opaque;
	while (!atomic_load(&done)) {
		if (pic_output(pic))
			CHECK(pic_ack(pic) >= 0);
		ioapic_eoi(ioapic, (uint8_t)rand_r(&seed));
		acpiregs_ged_raise(acpi, 1);
		acpiregs_pm1_raise(acpi, PM1_PWRBTN);
		usleep(50);
	}
	return NULL;
}

#define ROUND_TRIP(name, pointer)                                                                  \
	do {                                                                                       \
		struct name##_state *state = malloc(sizeof(*state));                               \
		CHECK(state);                                                                      \
		name##_save(pointer, state);                                                       \
		CHECK(!name##_load(pointer, state));                                               \
		free(state);                                                                       \
	} while (0)

static void *host(void *opaque)
{
	(void)opaque;
	for (int i = 0; !atomic_load(&done); i++) {
		ROUND_TRIP(acpiregs, acpi);
		ROUND_TRIP(pit, pit);
		ROUND_TRIP(rtc, rtc);
		ROUND_TRIP(hpet, hpet);
		ROUND_TRIP(i8042, kbc);
		ROUND_TRIP(testdev, testdev);
		ROUND_TRIP(pic, pic);
		ROUND_TRIP(ioapic, ioapic);
		if (i % 16 == 0) {
			hpet_reset(hpet);
			pit_reset(pit);
			rtc_reset(rtc);
			ioapic_reset(ioapic);
		}
		CHECK(!router_commit(router));
		usleep(200);
	}
	return NULL;
}

static void *looping(void *opaque)
{
	struct loop_event event;

	(void)opaque;
	CHECK(!loop_run(loop, &event));
	return NULL;
}

static void put(struct dev *dev, uint32_t region, uint64_t offset, uint64_t value)
{
	CHECK(!dev->ops->write(dev, region, offset, 1, value));
}

// As an operating system would leave them: nothing masked.
static void open_chips(void)
{
	static const uint8_t words[] = { 0x20, 4, 1, 0 };

	for (uint32_t region = PIC_MASTER; region <= PIC_SLAVE; region++) {
		put(&pic->dev, region, 0, 0x11);
		for (uint32_t i = 0; i < ARRAY_LEN(words); i++)
			put(&pic->dev, region, 1, words[i]);
	}
	for (uint32_t pin = 0; pin < 24; pin++) {
		put(&ioapic->dev, 0, 0x00, 0x10 + 2 * pin);
		CHECK(!ioapic->dev.ops->write(&ioapic->dev, 0, 0x10, 4, pin % 2 ? 0x8030 : 0x30));
	}
}

static void storm(void)
{
	pthread_t guests[GUESTS], others[3];

	pthread_create(&others[0], NULL, looping, NULL);
	pthread_create(&others[1], NULL, processor, NULL);
	pthread_create(&others[2], NULL, host, NULL);
	for (uintptr_t i = 0; i < GUESTS; i++)
		pthread_create(&guests[i], NULL, guest, (void *)(i + 1));
	for (int i = 0; i < GUESTS; i++)
		pthread_join(guests[i], NULL);
	atomic_store(&done, true);
	loop_stop(loop);
	for (int i = 0; i < 3; i++)
		pthread_join(others[i], NULL);
}

static void add(uint32_t i, struct dev *dev, uint32_t regions, uint64_t bytes, uint32_t sizes)
{
	target[i] = (struct target){ dev, regions, bytes, sizes };
}

int main(void)
{
	struct vclock *clock = vclock_create(false);
	struct irq_hub *hub = irq_hub_create();

	loop = loop_create();
	router = router_create(-1);
	pic = pic_create();
	ioapic = ioapic_create(24);
	ioapic_set_router(ioapic, router);
	ioapic_set_msi(ioapic, message, NULL);
	pic_set_intr(pic, kick, NULL);
	struct split_sink *sink = split_sink_create(pic, ioapic);
	split_sink_attach(sink, hub);
	acpi = acpiregs_create(hub, 9, clock, loop, 24);
	pit = pit_create(hub, 0, clock, loop);
	rtc = rtc_create(hub, 8, clock, loop, 1700000000, 0);
	kbc = i8042_create(hub, 1, 12);
	testdev = testdev_create(hub);
	hpet = hpet_create(hub, clock, loop);
	struct legacy_route *route = legacy_route_create(hpet, pit, rtc, -1);
	add(0, &acpi->dev, 5, 2, 1);
	add(1, &pit->dev, 1, 4, 1);
	add(2, &rtc->dev, 1, 2, 1);
	add(3, &kbc->dev, 2, 1, 1);
	add(4, &testdev->dev, 5, 4, 4);
	add(5, &hpet->dev, 1, HPET_BYTES, 8);
	add(6, &pic->dev, 3, 2, 1);
	add(7, &ioapic->dev, 1, 0x48, 8);
	open_chips();
	storm();
	CHECK(atomic_load(&messages) && atomic_load(&kicks));
	hpet_destroy(hpet);
	legacy_route_destroy(route);
	testdev_destroy(testdev);
	i8042_destroy(kbc);
	rtc_destroy(rtc);
	pit_destroy(pit);
	acpiregs_destroy(acpi);
	split_sink_detach(sink, hub);
	split_sink_destroy(sink);
	ioapic_destroy(ioapic);
	pic_destroy(pic);
	router_destroy(router);
	irq_hub_destroy(hub);
	vclock_destroy(clock);
	loop_destroy(loop);
	return 0;
}
