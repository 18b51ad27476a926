// SPDX-License-Identifier: Apache-2.0
// The network card: a driver that puts any header, command and chain into its rings, a wire that
// talks and stalls, resets of all and of one queue, and saved states at any moment.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "virtio_regs.h"
#include "vnet.h"

#define PAIRS 2
#define QUEUES (2 * PAIRS + 1)
#define CONTROL (2 * PAIRS)
#define RING 8 // entries
#define RING_ROOM 0x200
#define MEMORY 0x10000
#define BUFFERS 0x1000
#define BUFFER 0x800
#define TICK (LOOP_USER + 1000)

struct rig {
	struct gmem *m;
	uint8_t *ram;
	struct loop *loop;
	int tick;
	struct vnet *n;
	int peer[PAIRS], own[PAIRS];
};

static void interrupt(void *opaque, int queue)
{
	(void)opaque;
	MUST(queue >= -1 && queue < QUEUES);
}

static void reset_registers(void *opaque, int queue)
{
	(void)opaque;
	(void)queue;
}

static const struct virtio_transport transport = { .interrupt = interrupt,
						   .reset = reset_registers };

static void on_tick(void *opaque, uint32_t events)
{
	struct rig *r = opaque;
	uint64_t count;

	(void)events;
	MUST(read(r->tick, &count, sizeof(count)) == sizeof(count));
	MUST(!loop_post(r->loop, TICK, 0, r));
}

// Runs the loop for whatever is ready now, twice, as one handler wakes another.
static void pump(struct rig *r)
{
	struct loop_event event;
	uint64_t one = 1;

	for (int i = 0; i < 2; i++) {
		MUST(write(r->tick, &one, sizeof(one)) == sizeof(one));
		do {
			MUST(!loop_run(r->loop, &event));
		} while (event.kind != TICK);
	}
}

// --- The driver

static uint64_t ring_at(uint32_t queue)
{
	return RING_ROOM * queue;
}

static void probe(struct rig *r, uint32_t declined, uint8_t left_out)
{
	struct virtio_dev *d = &r->n->vdev;
	{
		LOCKED(&d->dev.lock);
		virtio_accept(d, 0, virtio_offered(d, 0) & ~declined);
		virtio_accept(d, 1, virtio_offered(d, 1));
		virtio_set_status(d, 0x0b);
		for (uint32_t i = 0; i < d->queue_count; i++) {
			struct virtio_queue *q = virtio_queue_at(d, i);
			if (!virtio_queue_writable(q) || left_out == i)
				continue;
			q->size = RING;
			q->desc = ring_at(i);
			q->avail = ring_at(i) + 0x80;
			q->used = ring_at(i) + 0x100;
			virtio_queue_enable(q);
		}
		virtio_set_status(d, 0x0f);
	}
	pump(r);
}

static void again(struct rig *r)
{
	{
		LOCKED(&r->n->vdev.dev.lock);
		virtio_set_status(&r->n->vdev, 0);
	}
	pump(r);
	memset(r->ram, 0, BUFFERS);
}

struct offer {
	uint32_t queue;
	uint32_t len; // of the first descriptor
	uint32_t answer; // of a device-writable one behind it; 0: there is none
	uint8_t head;
	bool in;
};

static void offer(struct rig *r, const struct offer *o)
{
	uint64_t at = ring_at(o->queue), buffer = BUFFERS + BUFFER * o->queue;
	uint16_t idx, head = o->head & 6;
	struct vring_desc d[2] = {
		{ buffer, o->len, (uint16_t)((o->in ? 2 : 0) | (o->answer ? 1 : 0)),
		  (uint16_t)(head + 1) },
		{ buffer + BUFFER - 16, o->answer, 2, 0 },
	};

	memcpy(r->ram + at + head * 16, d, sizeof(d));
	memcpy(&idx, r->ram + at + 0x82, 2);
	memcpy(r->ram + at + 0x84 + idx % RING * 2, &head, 2);
	idx++;
	memcpy(r->ram + at + 0x82, &idx, 2);
	virtio_notify(&r->n->vdev, o->queue);
}

// A header of the input's, and a frame.
static void send_packet(struct rig *r, struct input *in)
{
	uint32_t pair = take(in, 1) % PAIRS;
	uint8_t *to = r->ram + BUFFERS + BUFFER * (2 * pair + 1);

	take_into(in, to, VNET_HEADER);
	offer(r, &(struct offer){
			 .queue = 2 * pair + 1,
			 .len = (uint32_t)take(in, 2) % (2 * BUFFER),
			 .head = (uint8_t)take(in, 1),
		 });
}

static void give_buffer(struct rig *r, struct input *in)
{
	uint32_t pair = take(in, 1) % PAIRS;

	offer(r, &(struct offer){
			 .queue = 2 * pair,
			 .len = (uint32_t)take(in, 2) % BUFFER,
			 .answer = (uint32_t)take(in, 1),
			 .head = (uint8_t)take(in, 1),
			 .in = true,
		 });
}

static void command(struct rig *r, struct input *in)
{
	uint8_t *to = r->ram + BUFFERS + BUFFER * CONTROL;
	uint32_t len = (uint32_t)take(in, 1) % 64;

	take_into(in, to, len);
	offer(r, &(struct offer){
			 .queue = CONTROL,
			 .len = len,
			 .answer = (uint32_t)take(in, 1) & 3,
			 .head = (uint8_t)take(in, 1),
		 });
}

static void scribble(struct rig *r, struct input *in)
{
	uint64_t at = take(in, 2) % (BUFFERS - 0xff);

	take_into(in, r->ram + at, take(in, 1));
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
	struct virtio_dev *d = &r->n->vdev;
	struct virtio_state rings;
	struct vnet_state state;

	virtio_ask_pause(d);
	pump(r);
	MUST(!virtio_save(d, &rings));
	vnet_save(r->n, &state);
	virtio_ask_resume(d);
	again(r);
	pump(r);
	if (take(in, 1) & 1)
		take_into(in, (uint8_t *)&state + 4, sizeof(state) - 4);
	int err = vnet_load(r->n, &state);
	MUST(!err || err == -EINVAL);
	MUST(!virtio_load(d, &rings));
	pump(r);
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);

	switch (what % 12) {
	case 0:
		again(r);
		probe(r, (uint32_t)take(in, 3), (uint8_t)take(in, 1));
		break;
	case 1:
	case 2:
		send_packet(r, in);
		break;
	case 3:
	case 4:
		give_buffer(r, in);
		break;
	case 5:
	case 6:
		command(r, in);
		break;
	case 7:
		scribble(r, in);
		break;
	case 8:
		state_step(r, in);
		break;
	case 9: {
		LOCKED(&r->n->vdev.dev.lock);
		virtio_queue_reset(virtio_queue_at(&r->n->vdev, (what >> 4) % QUEUES));
		break;
	}
	case 10:
		wire_step(r, in);
		break;
	default:
		pump(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { 0 }, *r = &rig;
	struct vnet_setup setup = { .pairs = PAIRS, .offloads = 0x1f, .allowed = UINT64_MAX };

	MUST((r->m = gmem_create()) && (r->ram = calloc(1, MEMORY)) && (r->loop = loop_create()));
	MUST(!gmem_add(r->m, 0, MEMORY, r->ram, 0));
	MUST((r->tick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
	MUST(loop_add(r->loop, r->tick, EPOLLIN, on_tick, r) >= 0);
	for (int i = 0; i < PAIRS; i++) {
		int pair[2];
		MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
		setup.fd[i] = r->own[i] = pair[0];
		setup.vhost_fd[i] = -1;
		r->peer[i] = pair[1];
	}
	setup.mem = r->m;
	setup.loop = r->loop;
	MUST((r->n = vnet_create(&setup)));
	virtio_connect(&r->n->vdev, &transport, r, false);
	probe(r, (uint32_t)take(&in, 3), 0xff);
	while (in.left)
		one_step(r, &in);
	again(r);
	vnet_destroy(r->n);
	for (int i = 0; i < PAIRS; i++) {
		close(r->own[i]);
		close(r->peer[i]);
	}
	loop_destroy(r->loop);
	close(r->tick);
	gmem_destroy(r->m);
	free(r->ram);
	return 0;
}
