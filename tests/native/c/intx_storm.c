// SPDX-License-Identifier: Apache-2.0
// Two sources share a level-triggered pin of the split irqchip. Each wants service many times, one
// at a time for each interrupt, and triggers again when it is told of an EOI and still wants some;
// a third source comes and goes. One request that got lost leaves everybody asleep.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "split_sink.h"

#define SOURCES 2
#define REQUESTS 5000
#define GSI 17u
#define VECTOR 0x51u
#define LEVEL (1u << 15)

static struct irq_hub *hub;
static struct loop *loop;
static struct ioapic *ioapic;
static struct intx *source[SOURCES];
static _Atomic int wanted[SOURCES]; // requests that wait for service
static _Atomic bool done;
static int interrupt_fd; // counts messages

static void add(int fd)
{
	uint64_t one = 1;

	CHECK(write(fd, &one, sizeof(one)) == sizeof(one));
}

// Waits a little; whether there was a count.
static bool taken(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, 100) > 0 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static int message(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque, (void)address;
	CHECK((data & 0xff) == VECTOR);
	add(interrupt_fd);
	return 1;
}

static void *run_loop(void *opaque)
{
	struct loop_event event;

	(void)opaque;
	CHECK(!loop_run(loop, &event) && event.kind == LOOP_STOPPED);
	return NULL;
}

static void *request(void *opaque)
{
	intptr_t i = (intptr_t)opaque;

	for (int n = 0; n < REQUESTS; n++) {
		atomic_fetch_add(&wanted[i], 1);
		add(source[i]->trigger_fd);
		if (n % 16 == 0)
			usleep(10);
	}
	return NULL;
}

static void *resample(void *opaque)
{
	intptr_t i = (intptr_t)opaque;

	while (!atomic_load(&done))
		if (taken(source[i]->resample_fd) && atomic_load(&wanted[i]))
			add(source[i]->trigger_fd);
	return NULL;
}

static void *come_and_go(void *opaque)
{
	(void)opaque;
	while (!atomic_load(&done)) {
		struct intx *x = intx_create(hub, loop, GSI, INTX_NO_PIC);
		CHECK(x && !intx_status(x));
		intx_destroy(x);
		usleep(100);
	}
	return NULL;
}

// The guest's handler.
static void serve(void)
{
	int served = 0;

	while (served < SOURCES * REQUESTS) {
		if (!taken(interrupt_fd))
			continue;
		for (int i = 0; i < SOURCES; i++) {
			if (atomic_load(&wanted[i])) {
				atomic_fetch_sub(&wanted[i], 1);
				served++;
			}
		}
		ioapic_eoi(ioapic, VECTOR);
	}
	printf("%d served\n", served);
}

static void write_window(uint32_t select, uint32_t value)
{
	LOCKED(&ioapic->dev.lock);
	ioapic->dev.ops->write(&ioapic->dev, 0, 0, 4, select);
	ioapic->dev.ops->write(&ioapic->dev, 0, 0x10, 4, value);
}

int main(void)
{
	pthread_t looper, changer, requester[SOURCES], resampler[SOURCES];
	struct pic *pic = pic_create();
	struct split_sink *sink;

	hub = irq_hub_create();
	loop = loop_create();
	ioapic = ioapic_create(24);
	CHECK(pic && hub && loop && ioapic && (sink = split_sink_create(pic, ioapic)));
	CHECK((interrupt_fd = eventfd(0, EFD_CLOEXEC)) >= 0);
	ioapic_set_msi(ioapic, message, NULL);
	for (int i = 0; i < SOURCES; i++)
		CHECK((source[i] = intx_create(hub, loop, GSI, INTX_NO_PIC)));
	split_sink_attach(sink, hub);
	write_window(0x10 + 2 * GSI, VECTOR | LEVEL);
	CHECK(!pthread_create(&looper, NULL, run_loop, NULL));
	CHECK(!pthread_create(&changer, NULL, come_and_go, NULL));
	for (intptr_t i = 0; i < SOURCES; i++) {
		CHECK(!pthread_create(&resampler[i], NULL, resample, (void *)i));
		CHECK(!pthread_create(&requester[i], NULL, request, (void *)i));
	}
	serve();
	atomic_store(&done, true);
	for (int i = 0; i < SOURCES; i++) {
		pthread_join(requester[i], NULL);
		pthread_join(resampler[i], NULL);
	}
	pthread_join(changer, NULL);
	for (int i = 0; i < SOURCES; i++)
		intx_destroy(source[i]);
	loop_stop(loop);
	pthread_join(looper, NULL);
	split_sink_detach(sink, hub);
	split_sink_destroy(sink);
	ioapic_destroy(ioapic);
	pic_destroy(pic);
	loop_destroy(loop);
	irq_hub_destroy(hub);
	close(interrupt_fd);
	return 0;
}
