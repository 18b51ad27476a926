// SPDX-License-Identifier: Apache-2.0
// The network card: a driver that puts any header, command and chain into its rings, a wire that
// talks and stalls, resets of all and of one queue, and saved states at any moment.
#include <sys/socket.h>

#include "fuzz_virtio.h"
#include "vnet.h"

#define PAIRS 2
#define CONTROL (2 * PAIRS)
#define ANSWER 0x3f00 // in a queue's buffer: where the second descriptor points

struct rig {
	struct driver driver;
	struct vnet *n;
	int peer[PAIRS], own[PAIRS];
};

// --- The driver

struct offered {
	uint32_t queue;
	uint32_t len; // of the first descriptor
	uint32_t answer; // of a device-writable one behind it; 0: there is none
	bool in;
};

// The input says where in the ring, and whether there is but one of it.
static void give(struct rig *r, struct input *in, const struct offered *o)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint64_t at = buffer_at(o->queue);

	offer(&r->driver, &(struct chain){
				  .queue = o->queue,
				  .count = o->answer ? 2 : 1,
				  .skip = how & 6,
				  .many = how & 0x80,
				  .desc = { { at, o->len,
					      (uint16_t)((o->in ? VRING_DESC_F_WRITE : 0) |
							 (o->answer ? VRING_DESC_F_NEXT : 0)),
					      0 },
					    { at + ANSWER, o->answer, VRING_DESC_F_WRITE, 0 } },
			  });
	virtio_notify(&r->n->vdev, o->queue);
}

// A header of the input's, and a frame.
static void send_packet(struct rig *r, struct input *in)
{
	uint32_t queue = take(in, 1) % PAIRS * 2 + 1;

	take_into(in, r->driver.ram + buffer_at(queue), VNET_HEADER);
	uint32_t len = (uint32_t)take(in, 2) % 0x1000;
	give(r, in, &(struct offered){ .queue = queue, .len = len });
}

static void give_buffer(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	struct offered o = { .queue = how % PAIRS * 2, .in = true };

	o.len = (uint32_t)take(in, how & 0x10 ? 2 : 1) % 0x800;
	o.answer = how & 0x20 ? (uint32_t)take(in, 1) : 0;
	give(r, in, &o);
}

// Buffers of one length for whatever comes, as many as there is room for.
static void fill(struct rig *r, uint32_t len)
{
	for (uint32_t queue = 0; queue < CONTROL; queue += 2) {
		offer(&r->driver,
		      &(struct chain){
			      .queue = queue,
			      .count = 1,
			      .many = true,
			      .desc = { { buffer_at(queue), len, VRING_DESC_F_WRITE, 0 } },
		      });
		virtio_notify(&r->n->vdev, queue);
	}
	pump(&r->driver);
}

static void command(struct rig *r, struct input *in)
{
	struct offered o = { .queue = CONTROL, .len = (uint32_t)take(in, 1) % 64 };

	take_into(in, r->driver.ram + buffer_at(CONTROL), o.len);
	o.answer = (uint32_t)take(in, 1) & 3;
	give(r, in, &o);
}

// --- The wire

static void wire_step(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	static const uint8_t zeros[40000];
	uint8_t buf[256];
	int peer = r->peer[how % PAIRS];

	if (how & 0x80) {
		while (recv(peer, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			continue;
	} else if (send(peer, zeros, take(in, 2) % sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) <
		   0) {
		MUST(errno == EAGAIN || errno == ECONNREFUSED);
	}
}

static void state_step(struct rig *r, struct input *in)
{
	struct virtio_state rings;
	struct vnet_state state;

	save_rings(&r->driver, &rings);
	vnet_save(r->n, &state);
	restart(&r->driver);
	bool mangled = mangle(in, &state, sizeof(state));
	int err = vnet_load(r->n, &state);
	MUST(!err || (mangled && err == -EINVAL));
	load_rings(&r->driver, &rings);
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);

	if (common_step(&r->driver, in, what))
		return;
	switch (what % 16) {
	case 6:
	case 7:
		send_packet(r, in);
		break;
	case 8:
	case 9:
	case 10:
		give_buffer(r, in);
		break;
	case 11:
	case 12:
		command(r, in);
		break;
	case 13:
		state_step(r, in);
		break;
	default:
		wire_step(r, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { 0 }, *r = &rig;
	uint8_t first = (uint8_t)take(&in, 1);
	struct vnet_setup setup = { .pairs = PAIRS, .offloads = 0x1f, .allowed = UINT64_MAX };

	driver_init(&r->driver);
	for (int i = 0; i < PAIRS; i++) {
		int pair[2];
		MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
		setup.fd[i] = r->own[i] = pair[0];
		setup.vhost_fd[i] = -1;
		r->peer[i] = pair[1];
	}
	setup.mem = r->driver.m;
	setup.loop = r->driver.ticker.loop;
	MUST((r->n = vnet_create(&setup)));
	driver_connect(&r->driver, &r->n->vdev);
	probe(&r->driver, &in, 8u << (first & 7));
	if (!(first & 8)) // as drivers begin
		fill(r, VNET_HEADER + (uint32_t)take(&in, 1));
	while (in.left)
		one_step(r, &in);
	reset_device(&r->driver);
	vnet_destroy(r->n);
	for (int i = 0; i < PAIRS; i++) {
		close(r->own[i]);
		close(r->peer[i]);
	}
	driver_deinit(&r->driver);
	return 0;
}
