// SPDX-License-Identifier: Apache-2.0
// The storm on a network card of two pairs of queues, with others on the wire who talk and listen.
#include <sys/socket.h>

#include "virtiostorm.h"
#include "vnet.h"

#define PAIRS 2
#define CONTROL (2 * PAIRS)
#define PACKETS 300
#define FRAME 60
#define ACK_AT 0x800u // in the buffer of an entry

static int own[PAIRS], wire[PAIRS];
static _Atomic bool silent;
static _Atomic uint64_t heard;

static void lay_out(uint16_t entry)
{
	static const uint8_t commands[][4] = {
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0 },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 0 },
	};
	uint64_t at = buffer_at(CONTROL, entry);
	uint32_t n = entry % ARRAY_LEN(commands);
	const struct vring_desc command[] = {
		{ at, n == 1 ? 4 : 3, 0, 0 },
		{ at + ACK_AT, 1, VRING_DESC_F_WRITE, 0 },
	};

	memcpy(ram + at, commands[n], sizeof(commands[n]));
	storm_chain(CONTROL, entry, command, ARRAY_LEN(command));
	for (uint32_t queue = 0; queue < CONTROL; queue += 2) {
		const struct vring_desc room = { buffer_at(queue, entry), 1536, VRING_DESC_F_WRITE,
						 0 };
		const struct vring_desc packet = { buffer_at(queue + 1, entry), VNET_HEADER + FRAME,
						   0, 0 };
		storm_chain(queue, entry, &room, 1);
		storm_chain(queue + 1, entry, &packet, 1);
	}
}

// The other end of every wire.
static void *others(void *opaque)
{
	uint8_t packet[VNET_HEADER + FRAME] = { 0 }, room[2048];

	while (!atomic_load(&done) || !atomic_load(&silent)) {
		for (int i = 0; i < PAIRS; i++) {
			if (!atomic_load(&silent))
				send(wire[i], packet, sizeof(packet), MSG_DONTWAIT);
			while (recv(wire[i], room, sizeof(room), MSG_DONTWAIT) > 0)
				atomic_fetch_add(&heard, 1);
		}
		usleep(50);
	}
	return NULL;
}

static void packets_go_both_ways(void)
{
	uint64_t before = atomic_load(&heard);

	for (uint16_t i = 1; i <= PACKETS; i++) {
		offer(1);
		await_used(1, i);
		offer(0); // somebody talks all the time
		await_used(0, i);
	}
	for (int ms = 0; atomic_load(&heard) < before + PACKETS; ms++) {
		CHECK(ms < PATIENCE);
		usleep(1000);
	}
	offer(CONTROL);
	await_used(CONTROL, 1);
	CHECK(ram[buffer_at(CONTROL, 0) + ACK_AT] == VIRTIO_NET_OK);
	atomic_store(&silent, true);
}

int main(void)
{
	struct vnet_setup setup = { .pairs = PAIRS, .allowed = UINT64_MAX };
	struct vnet_counters counters;
	pthread_t talkers;

	storm_begin();
	for (uint16_t i = 0; i < ENTRIES; i++)
		lay_out(i);
	for (int i = 0; i < PAIRS; i++) {
		int pair[2];
		CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
		setup.fd[i] = own[i] = pair[0];
		wire[i] = pair[1];
		setup.vhost_fd[i] = -1;
	}
	setup.mem = mem;
	setup.loop = loop;
	struct vnet *card = vnet_create(&setup);
	CHECK(card);
	CHECK(!pthread_create(&talkers, NULL, others, NULL));
	storm(&card->vdev, 30000, packets_go_both_ways);
	pthread_join(talkers, NULL);
	storm_report();
	vnet_counters(card, &counters);
	printf("%llu packets came, %llu left, %llu commands\n",
	       (unsigned long long)counters.all.rx_packets,
	       (unsigned long long)counters.all.tx_packets, (unsigned long long)counters.control);
	CHECK(counters.all.rx_packets > PACKETS && counters.all.tx_packets > PACKETS);
	CHECK(counters.control > 10 && !counters.lost);
	vnet_destroy(card);
	storm_end();
	for (int i = 0; i < PAIRS; i++) {
		close(own[i]);
		close(wire[i]);
	}
	return 0;
}
