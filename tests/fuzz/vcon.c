// SPDX-License-Identifier: Apache-2.0
// The console: a driver that says anything on the control queue and puts anything into its rings,
// ports that come and go, peers that talk and leave, resets and saved states at any moment.
#include <sys/socket.h>

#include "fuzz_virtio.h"
#include "vcon.h"

#define PORTS 3
#define QUEUES (2 * PORTS + 2)
#define CONTROL 3 // what the driver says

struct rig {
	struct driver driver;
	struct vcon *v;
	struct chan *chan[PORTS];
	int peer[PORTS];
};

static void heard(struct ticker *t, const struct loop_event *event)
{
	struct vcon_news news;

	if (event->kind == VCON_EVENT_NEWS)
		vcon_news(container_of(t, struct rig, driver.ticker)->v, &news);
}

// --- The driver

// A descriptor that is most often such as the queue is for.
static void give(struct rig *r, uint32_t queue, uint32_t len, uint8_t how)
{
	uint16_t flags = queue & 1 ? 0 : VRING_DESC_F_WRITE;

	if (how & 8)
		flags ^= VRING_DESC_F_WRITE;
	offer(&r->driver, &(struct chain){ .queue = queue,
					   .count = 1,
					   .skip = how & 7,
					   .many = how & 0x80,
					   .desc = { { buffer_at(queue), len, flags, 0 } } });
	if (how & 16)
		virtio_notify(&r->v->vdev, queue);
}

static void say(struct rig *r, struct input *in)
{
	uint8_t *packet = r->driver.ram + buffer_at(CONTROL);
	uint8_t how = (uint8_t)take(in, 1);

	take_into(in, packet, 8);
	if (how & 0x20) { // a sensible one
		packet[0] %= PORTS;
		packet[1] = packet[2] = packet[3] = packet[5] = packet[7] = 0;
		packet[4] %= 8;
		packet[6] &= 1;
	}
	give(r, CONTROL, how & 0x40 ? (uint32_t)take(in, 1) % 13 : 8, (uint8_t)(how | 16));
}

// --- The host

static void give_peer(struct rig *r, uint32_t id, uint8_t how)
{
	int pair[2];

	if (r->peer[id] >= 0)
		close(r->peer[id]);
	r->peer[id] = -1;
	if (how & 1) {
		MUST(!chan_attach(r->chan[id], -1, -1));
		return;
	}
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	int small = 4096;
	MUST(!setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	MUST(!chan_attach(r->chan[id], pair[0], pair[0]));
	r->peer[id] = pair[1];
}

static void host_step(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t id = how % PORTS;
	uint8_t buf[256];

	switch (how / PORTS % 6) {
	case 0:
		if (vcon_remove(r->v, id) == -ENOENT)
			MUST(!vcon_add(r->v, id, r->chan[id], !id || how & 128,
				       how & 64 ? "n" : ""));
		break;
	case 1:
		give_peer(r, id, (uint8_t)take(in, 1));
		break;
	case 2:
		take_into(in, buf, 64);
		if (r->peer[id] >= 0 && send(r->peer[id], buf, 64, MSG_NOSIGNAL) < 0)
			MUST(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
		break;
	case 3:
		if (r->peer[id] >= 0 && recv(r->peer[id], buf, sizeof(buf), 0) < 0)
			MUST(errno == EAGAIN || errno == ECONNRESET);
		break;
	case 4:
		vcon_resize(r->v, (uint16_t)take(in, 1), (uint16_t)take(in, 1));
		break;
	default: {
		int err = vcon_swap(r->v, id, r->chan[id]);
		MUST(!err || err == -ENOENT);
	}
	}
}

static void state_step(struct rig *r, struct input *in)
{
	struct virtio_state rings;
	struct vcon_state state;

	save_rings(&r->driver, &rings);
	vcon_save(r->v, &state);
	restart(&r->driver);
	bool mangled = mangle(in, &state, sizeof(state));
	int err = vcon_load(r->v, &state);
	MUST(!err || (mangled && err == -EINVAL));
	load_rings(&r->driver, &rings);
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);
	uint32_t len;

	if (common_step(&r->driver, in, what))
		return;
	switch (what % 16) {
	case 6:
	case 7:
	case 8:
		say(r, in);
		break;
	case 9:
	case 10:
	case 11:
		len = (uint32_t)take(in, 2);
		give(r, (what >> 4) % QUEUES, len, (uint8_t)take(in, 1));
		break;
	case 12:
		state_step(r, in);
		break;
	default:
		host_step(r, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { .peer = { -1, -1, -1 } }, *r = &rig;

	driver_init(&r->driver);
	r->driver.ticker.heard = heard;
	const struct vcon_setup setup = { r->driver.m, r->driver.ticker.loop, PORTS, true, false };
	MUST((r->v = vcon_create(&setup)));
	driver_connect(&r->driver, &r->v->vdev);
	for (uint32_t id = 0; id < PORTS; id++) {
		MUST((r->chan[id] = chan_create(r->driver.ticker.loop, CHAN_LIMIT_MIN,
						id ? CHAN_BLOCK : CHAN_DROP)));
		give_peer(r, id, id == 1);
		if (id < 2)
			MUST(!vcon_add(r->v, id, r->chan[id], !id, "org.x"));
	}
	probe(&r->driver, &in, 8u << (take(&in, 1) & 7));
	while (in.left)
		one_step(r, &in);
	reset_device(&r->driver);
	vcon_destroy(r->v);
	for (uint32_t id = 0; id < PORTS; id++) {
		chan_destroy(r->chan[id]);
		if (r->peer[id] >= 0)
			close(r->peer[id]);
	}
	driver_deinit(&r->driver);
	return 0;
}
