// SPDX-License-Identifier: Apache-2.0
// A guest that hammers every register of a UART, on two threads as two vCPUs would, while its peer
// sends and receives, breaks are sent and state is saved and loaded.
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "uart.h"

#define GUESTS 2
#define ACCESSES 20000

static struct loop *loop;
static struct uart *uart;
static int pair[2];
static _Atomic bool done;
static _Atomic int level;

static void set_line(void *chip, uint32_t gsi, int high)
{
	(void)chip;
	CHECK(gsi == 4);
	atomic_store(&level, high);
}

// Whether bytes have gone both ways: on a busy machine the guests may be done before the peer
// begins.
static bool exchanged(void)
{
	struct uart_counters counters;

	uart_counters(uart, &counters);
	return counters.tx_bytes && counters.rx_bytes;
}

static void *guest(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;

	for (int i = 0; i < ACCESSES || !exchanged(); i++) {
		uint64_t value = (uint64_t)rand_r(&seed), offset = (uint64_t)rand_r(&seed) % 8;
		lock_take(&uart->dev.lock);
		if (rand_r(&seed) % 2)
			CHECK(!uart->dev.ops->read(&uart->dev, 0, offset, 1, &value));
		else
			CHECK(!uart->dev.ops->write(&uart->dev, 0, offset, 1, value));
		lock_drop(&uart->dev.lock);
	}
	return NULL;
}

static void *peer(void *opaque)
{
	uint8_t buf[256];

	(void)opaque;
	while (!atomic_load(&done)) {
		send(pair[1], "input", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		usleep(100);
	}
	return NULL;
}

static void *host(void *opaque)
{
	struct uart_state state;
	struct uart_counters counters;

	(void)opaque;
	while (!atomic_load(&done)) {
		uart_send_break(uart);
		uart_save(uart, &state);
		CHECK(uart_load(uart, &state) == 0);
		uart_counters(uart, &counters);
		usleep(200);
	}
	return NULL;
}

static void *stop_when_done(void *opaque)
{
	pthread_t *thread = opaque;

	for (int i = 0; i < GUESTS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&done, true);
	for (int i = GUESTS; i < GUESTS + 2; i++)
		pthread_join(thread[i], NULL);
	loop_stop(loop);
	return NULL;
}

int main(void)
{
	pthread_t thread[GUESTS + 2], stopper;
	struct loop_event event;
	struct vclock *clock = vclock_create(false);
	struct irq_hub *hub = irq_hub_create();

	CHECK((loop = loop_create()));
	CHECK(clock && hub);
	irq_hub_set_sink(hub, (struct irq_sink){ .set = set_line });
	struct chan *chan = chan_create(loop, CHAN_LIMIT_MIN, CHAN_BLOCK);
	CHECK(chan);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	struct uart_setup setup = {
		.hub = hub, .gsi = 4, .clock = clock, .loop = loop, .chan = chan
	};
	CHECK((uart = uart_create(&setup)));
	CHECK(chan_attach(chan, pair[0], pair[0]) == 0);
	for (uintptr_t i = 0; i < GUESTS; i++)
		CHECK(!pthread_create(&thread[i], NULL, guest, (void *)(i + 1)));
	CHECK(!pthread_create(&thread[GUESTS], NULL, peer, NULL));
	CHECK(!pthread_create(&thread[GUESTS + 1], NULL, host, NULL));
	CHECK(!pthread_create(&stopper, NULL, stop_when_done, thread));
	do {
		CHECK(loop_run(loop, &event) == 0);
	} while (event.kind != LOOP_STOPPED);
	pthread_join(stopper, NULL);
	struct uart_counters counters;
	uart_counters(uart, &counters);
	uart_destroy(uart);
	CHECK(atomic_load(&level) == 0);
	chan_destroy(chan);
	close(pair[1]);
	irq_hub_destroy(hub);
	vclock_destroy(clock);
	loop_destroy(loop);
	printf("sent %llu, received %llu\n", (unsigned long long)counters.tx_bytes,
	       (unsigned long long)counters.rx_bytes);
	return 0;
}
