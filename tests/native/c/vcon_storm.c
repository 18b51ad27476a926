// SPDX-License-Identifier: Apache-2.0
// The storm on a console with three named ports, with others at their ends who talk and listen.
#include <linux/virtio_console.h>
#include <sys/socket.h>

#include "vcon.h"
#include "virtiostorm.h"

#define PORTS 4 // port 0 is the console
#define CONTROL_RX 2
#define CONTROL_TX 3
#define MESSAGES (2 + 2 * PORTS) // of a driver that sets the console up
#define TALKER 1 // the port that the well-behaved driver uses
#define PIECES 300
#define PIECE 64

static int wire[PORTS];
static struct vcon *console;
static _Atomic bool silent;
static _Atomic uint64_t heard[PORTS];

static uint32_t rx_queue(uint32_t port)
{
	return port ? 2 + 2 * port : 0;
}

// What the control queue's entries say: first that the driver failed, then all that it has to say
// in its order, then anything.
static struct virtio_console_control message(uint16_t entry)
{
	static const struct virtio_console_control others[] = {
		{ 1, VIRTIO_CONSOLE_PORT_READY, 0 },
		{ 2, VIRTIO_CONSOLE_PORT_OPEN, 0 },
		{ 9, VIRTIO_CONSOLE_PORT_OPEN, 1 },
		{ 1, 77, 1 },
	};

	if (entry < 2)
		return (struct virtio_console_control){ 0, VIRTIO_CONSOLE_DEVICE_READY, entry };
	if (entry < 2 + PORTS)
		return (struct virtio_console_control){ entry - 2u, VIRTIO_CONSOLE_PORT_READY, 1 };
	if (entry < MESSAGES)
		return (struct virtio_console_control){ entry - 2u - PORTS,
							VIRTIO_CONSOLE_PORT_OPEN, 1 };
	return others[entry % ARRAY_LEN(others)];
}

static void lay_out(uint16_t entry)
{
	const struct virtio_console_control said = message(entry);
	const struct vring_desc control[] = {
		{ buffer_at(CONTROL_RX, entry), PIECE, VRING_DESC_F_WRITE, 0 },
		{ buffer_at(CONTROL_TX, entry), sizeof(said), 0, 0 },
	};

	memcpy(ram + control[1].addr, &said, sizeof(said));
	storm_chain(CONTROL_RX, entry, &control[0], 1);
	storm_chain(CONTROL_TX, entry, &control[1], 1);
	for (uint32_t port = 0; port < PORTS; port++) {
		uint32_t rx = rx_queue(port);
		const struct vring_desc room = { buffer_at(rx, entry), PIECE, VRING_DESC_F_WRITE,
						 0 };
		const struct vring_desc text = { buffer_at(rx + 1, entry), PIECE, 0, 0 };
		storm_chain(rx, entry, &room, 1);
		storm_chain(rx + 1, entry, &text, 1);
	}
}

// The other end of every port.
static void *others(void *opaque)
{
	uint8_t bytes[4096] = { 0 };
	struct vcon_news news;
	ssize_t n;

	(void)opaque;
	while (!atomic_load(&done) || !atomic_load(&silent)) {
		for (int i = 0; i < PORTS; i++) {
			if (!atomic_load(&silent))
				send(wire[i], bytes, PIECE, MSG_DONTWAIT);
			while ((n = recv(wire[i], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
				atomic_fetch_add(&heard[i], (uint64_t)n);
		}
		vcon_news(console, &news);
		usleep(50);
	}
	return NULL;
}

static void bytes_go_both_ways(void)
{
	uint64_t before = atomic_load(&heard[TALKER]);

	for (int i = 0; i < ENTRIES - VCPUS; i++)
		offer(CONTROL_RX);
	for (uint16_t i = 1; i <= MESSAGES; i++) {
		offer(CONTROL_TX);
		await_used(CONTROL_TX, i);
	}
	for (uint16_t i = 1; i <= PIECES; i++) {
		offer(1); // the console's
		await_used(1, i);
		offer(rx_queue(TALKER) + 1);
		await_used(rx_queue(TALKER) + 1, i);
		offer(rx_queue(TALKER)); // somebody talks all the time
		await_used(rx_queue(TALKER), i);
	}
	for (int ms = 0; atomic_load(&heard[TALKER]) < before + PIECES * PIECE; ms++) {
		CHECK(ms < PATIENCE);
		usleep(1000);
	}
	CHECK(used(CONTROL_RX) >= PORTS);
	atomic_store(&silent, true);
}

static struct chan *open_port(uint32_t port)
{
	static const char *const names[PORTS] = { "", "a", "b", "c" };
	struct chan *chan = chan_create(loop, CHAN_LIMIT_MIN, port ? CHAN_BLOCK : CHAN_DROP);
	int pair[2];

	CHECK(chan && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	CHECK(!chan_attach(chan, pair[0], pair[0]));
	CHECK(!vcon_add(console, port, chan, !port, names[port]));
	wire[port] = pair[1];
	return chan;
}

int main(void)
{
	struct vcon_counters counters;
	struct chan *chan[PORTS];
	pthread_t talkers;

	storm_begin();
	for (uint16_t i = 0; i < ENTRIES; i++)
		lay_out(i);
	console = vcon_create(&(struct vcon_setup){
		.mem = mem, .loop = loop, .max_ports = PORTS, .multiport = true });
	CHECK(console);
	for (uint32_t i = 0; i < PORTS; i++)
		chan[i] = open_port(i);
	CHECK(!pthread_create(&talkers, NULL, others, NULL));
	storm(&console->vdev, 20000, bytes_go_both_ways);
	pthread_join(talkers, NULL);
	storm_report();
	vcon_counters(console, &counters);
	printf("%llu messages came, %llu left, %llu were nothing\n",
	       (unsigned long long)counters.control_in, (unsigned long long)counters.control_out,
	       (unsigned long long)counters.control_ignored);
	CHECK(counters.control_in > 100 && counters.control_out > PORTS);
	CHECK(counters.device_failed && counters.control_ignored);
	for (uint32_t i = 0; i < PORTS; i++) {
		CHECK(!vcon_remove(console, i));
		chan_destroy(chan[i]);
		close(wire[i]);
	}
	vcon_destroy(console);
	storm_end();
	return 0;
}
