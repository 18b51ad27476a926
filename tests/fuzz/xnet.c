// SPDX-License-Identifier: Apache-2.0
// Xen's network device with a guest that writes what it likes into its rings, its grants and its
// frames, and a wire that brings whatever there is. Sockets are the wire.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "xnet.h"

#define PAGES 64u
#define MEMORY (PAGES * 4096u)
#define TABLE 0u // page 0: references are page numbers
#define TX 4u // and the second queue's behind it
#define RX 6u
#define DATA 8u
#define QUEUES 2u
#define TICK (LOOP_USER + 1000)

struct rig {
	uint8_t *ram;
	struct loop *loop;
	struct gnttab *grants;
	struct xnet *x;
	int tick, kick[QUEUES][2], call, end[QUEUES], peer[QUEUES];
};

static void on_tick(void *opaque, uint32_t events)
{
	struct rig *r = opaque;
	uint64_t count;

	(void)events;
	MUST(read(r->tick, &count, sizeof(count)) == sizeof(count));
	MUST(!loop_post(r->loop, TICK, 0, r));
}

static void pump(struct rig *r)
{
	struct loop_event event;
	const uint64_t one = 1;

	MUST(write(r->tick, &one, sizeof(one)) == sizeof(one));
	do {
		MUST(!loop_run(r->loop, &event));
	} while (event.kind != TICK);
}

static void reconnect(struct rig *r, uint8_t how)
{
	uint32_t *entry = (uint32_t *)r->ram;

	xnet_disconnect(r->x);
	for (uint32_t i = 0; i < PAGES; i++) {
		entry[2 * i] = 1; // GTF_permit_access
		entry[2 * i + 1] = i;
	}
	memset(r->ram + TX * 4096, 0, 4 * 4096);
	for (uint32_t i = 0; i < QUEUES; i++) {
		const struct xnet_link link = {
			.tx_ref = TX + i,
			.rx_ref = RX + i,
			.tx_kick = r->kick[i][0],
			.rx_kick = r->kick[i][how & 1],
			.tx_call = r->call,
			.rx_call = r->call,
		};
		MUST(!xnet_connect(r->x, i, &link, how >> 1));
	}
}

// Pages for frames, as a driver gives them.
static void post(struct rig *r, uint32_t queue, uint32_t count)
{
	uint8_t *ring = r->ram + (RX + queue) * 4096;
	uint32_t *prod = (uint32_t *)ring;

	for (; count; count--, ++*prod) {
		uint32_t *request = (uint32_t *)(ring + 64 + *prod % XNET_RING * 8);
		request[0] = *prod % XNET_RING;
		request[1] = DATA + *prod % (PAGES - DATA);
	}
}

static void send_frame(struct rig *r, uint32_t queue, struct input *in)
{
	static uint8_t frame[XNET_HEADER + 3 * 4096];
	uint32_t len = (uint32_t)take(in, 2) % sizeof(frame);

	take_into(in, frame, len < 64 ? len : 64);
	MUST(send(r->peer[queue], frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= -1);
}

static void one_step(struct rig *r, struct input *in)
{
	static uint8_t sink[70000];
	const uint64_t one = 1;
	uint8_t what = (uint8_t)take(in, 1);
	uint32_t queue = what >> 7, at;

	switch (what % 8) {
	case 0: // an index
		at = (what & 0x40 ? TX : RX) + queue;
		*(uint32_t *)(r->ram + at * 4096 + 4 * (what >> 3 & 3)) = (uint32_t)take(in, 4);
		break;
	case 1: // requests more
		*(uint32_t *)(r->ram + (TX + queue) * 4096) += what >> 3 & 15;
		break;
	case 2: // an entry
		at = (TX + queue) * 4096 + 64 + 12 * (uint32_t)take(in, 1);
		take_into(in, r->ram + at, 12);
		break;
	case 3:
		if (what & 0x40)
			take_into(in, r->ram + TABLE + 8 * (take(in, 1) % PAGES), 8);
		else
			take_into(in, r->ram + (RX + queue) * 4096 + 64 + 8 * take(in, 1), 8);
		break;
	case 4:
		post(r, queue, what >> 3 & 15);
		break;
	case 5:
		send_frame(r, queue, in);
		break;
	case 6: // a frame's headers, or the wire
		if (what & 0x40)
			take_into(in, r->ram + DATA * 4096, 120);
		else
			MUST(recv(r->peer[queue], sink, sizeof(sink), MSG_DONTWAIT) >= -1);
		break;
	default:
		if (what & 0x40)
			reconnect(r, what >> 1);
		else
			xnet_pause(r->x, what & 0x10);
		break;
	}
	MUST(write(r->kick[queue][0], &one, sizeof(one)) == sizeof(one));
	MUST(write(r->kick[queue][1], &one, sizeof(one)) == sizeof(one));
	pump(r);
}

static void make(struct rig *r, struct gmem *m)
{
	struct xnet_setup setup = { .loop = r->loop, .queues = QUEUES };

	MUST((r->tick = eventfd(0, EFD_NONBLOCK)) >= 0);
	MUST((r->call = eventfd(0, EFD_NONBLOCK)) >= 0);
	MUST(loop_add(r->loop, r->tick, EPOLLIN, on_tick, r) >= 0);
	MUST((setup.grants = r->grants = gnttab_create(m)));
	MUST(!gnttab_place(r->grants, 0, TABLE * 4096));
	for (uint32_t i = 0; i < QUEUES; i++) {
		int pair[2];
		MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
		setup.fd[i] = r->end[i] = pair[0];
		r->peer[i] = pair[1];
		for (uint32_t k = 0; k < 2; k++)
			MUST((r->kick[i][k] = eventfd(0, EFD_NONBLOCK)) >= 0);
	}
	MUST((r->x = xnet_create(&setup)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig, *r = &rig;
	struct gmem *m = gmem_create();
	struct gnttab_counters counters;

	MUST(m && (r->ram = calloc(1, MEMORY)) && (r->loop = loop_create()));
	MUST(!gmem_add(m, 0, MEMORY, r->ram, 0));
	make(r, m);
	reconnect(r, (uint8_t)take(&in, 1));
	while (in.left)
		one_step(r, &in);
	xnet_disconnect(r->x);
	gnttab_counters(r->grants, &counters);
	MUST(!counters.mapped);
	xnet_destroy(r->x);
	gnttab_destroy(r->grants);
	loop_destroy(r->loop);
	gmem_destroy(m);
	for (uint32_t i = 0; i < QUEUES; i++) {
		close(r->end[i]);
		close(r->peer[i]);
		close(r->kick[i][0]);
		close(r->kick[i][1]);
	}
	close(r->tick);
	close(r->call);
	free(r->ram);
	return 0;
}
