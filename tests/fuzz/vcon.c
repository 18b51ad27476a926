// SPDX-License-Identifier: Apache-2.0
// The console: a driver that says anything on the control queue and puts anything into its rings,
// ports that come and go, peers that talk and leave, resets and saved states at any moment.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "vcon.h"
#include "virtio_regs.h"

#define PORTS 3
#define QUEUES (2 * PORTS + 2)
#define RING 8 // entries
#define MEMORY 0x10000
#define BUFFERS 0x4000
#define TICK (LOOP_USER + 1000)

struct rig {
	struct gmem *m;
	uint8_t *ram;
	struct gmem_dev dev;
	struct loop *loop;
	int tick;
	struct vcon *v;
	struct chan *chan[PORTS];
	int peer[PORTS];
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

// Runs the loop for whatever is ready now, twice, as one handler arms the next one's timer.
static void pump(struct rig *r)
{
	struct loop_event event;
	uint64_t one = 1;

	for (int i = 0; i < 2; i++) {
		MUST(write(r->tick, &one, sizeof(one)) == sizeof(one));
		do {
			MUST(!loop_run(r->loop, &event));
			if (event.kind == VCON_EVENT_NEWS) {
				struct vcon_news news;
				vcon_news(r->v, &news);
			}
		} while (event.kind != TICK);
	}
}

// --- The driver

static uint64_t ring_at(uint32_t queue)
{
	return 0x400 * queue;
}

static void set_status(struct rig *r, uint8_t status)
{
	LOCKED(&r->v->vdev.dev.lock);
	virtio_set_status(&r->v->vdev, status);
}

static void probe(struct rig *r, uint8_t how)
{
	struct virtio_dev *d = &r->v->vdev;
	{
		LOCKED(&d->dev.lock);
		virtio_accept(d, 0, how & 1 ? virtio_offered(d, 0) : virtio_offered(d, 0) & ~2u);
		virtio_accept(d, 1, virtio_offered(d, 1));
		virtio_set_status(d, 0x0b);
		for (uint32_t i = 0; i < d->queue_count; i++) {
			struct virtio_queue *q = virtio_queue_at(d, i);
			if (!virtio_queue_writable(q) || (how >> 1) % QUEUES == i)
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
	set_status(r, 0);
	pump(r);
	memset(r->ram, 0, BUFFERS);
}

// A chain of one or two descriptors, most often such as the queue is for.
static void offer(struct rig *r, uint32_t queue, const void *data, uint32_t len, uint8_t how)
{
	uint16_t idx, head = how & 7;
	uint64_t at = ring_at(queue), buffer = BUFFERS + 0x200 * queue;
	struct vring_desc d = { buffer, len, (uint16_t)(queue & 1 ? 0 : 2), 0 };

	if (how & 8)
		d.flags ^= 2;
	if (data)
		memcpy(r->ram + buffer, data, len < 0x200 ? len : 0x200);
	memcpy(&idx, r->ram + at + 0x82, 2);
	memcpy(r->ram + at + head * 16, &d, sizeof(d));
	memcpy(r->ram + at + 0x84 + idx % RING * 2, &head, 2);
	idx++;
	memcpy(r->ram + at + 0x82, &idx, 2);
	if (how & 16)
		virtio_notify(&r->v->vdev, queue);
}

static void say(struct rig *r, struct input *in)
{
	uint8_t packet[12];
	uint8_t how = (uint8_t)take(in, 1);

	take_into(in, packet, 8);
	if (how & 0x20) { // a sensible one
		packet[0] %= PORTS;
		packet[1] = packet[2] = packet[3] = packet[5] = packet[7] = 0;
		packet[4] %= 8;
		packet[6] &= 1;
	}
	offer(r, 3, packet, how & 0x40 ? (uint32_t)take(in, 1) % 13 : 8, (uint8_t)(how | 16));
}

static void scribble(struct rig *r, struct input *in)
{
	uint64_t at = take(in, 2) % (BUFFERS - 0xff);

	take_into(in, r->ram + at, take(in, 1));
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
	struct virtio_dev *d = &r->v->vdev;
	struct virtio_state rings;
	struct vcon_state state;

	virtio_ask_pause(d);
	pump(r);
	MUST(!virtio_save(d, &rings));
	vcon_save(r->v, &state);
	virtio_ask_resume(d);
	again(r);
	pump(r);
	if (take(in, 1) & 1)
		take_into(in, (uint8_t *)&state + 4, take(in, 2) % (sizeof(state) - 4));
	int err = vcon_load(r->v, &state);
	MUST(!err || err == -EINVAL);
	MUST(!virtio_load(d, &rings));
	pump(r);
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);

	switch (what % 16) {
	case 0:
		again(r);
		break;
	case 1:
		probe(r, (uint8_t)take(in, 1));
		break;
	case 2:
	case 3:
	case 4:
		say(r, in);
		break;
	case 5:
	case 6:
	case 7:
		offer(r, (what >> 4) % QUEUES, NULL, (uint32_t)take(in, 2), (uint8_t)take(in, 1));
		break;
	case 8:
		scribble(r, in);
		break;
	case 9:
		state_step(r, in);
		break;
	case 10: {
		LOCKED(&r->v->vdev.dev.lock);
		virtio_config_write(&r->v->vdev, take(in, 1) % 16, 1u << (what >> 4 & 3),
				    take(in, 4));
		break;
	}
	case 11: {
		LOCKED(&r->v->vdev.dev.lock);
		virtio_queue_reset(virtio_queue_at(&r->v->vdev, (what >> 4) % QUEUES));
		break;
	}
	case 12:
	case 13:
		host_step(r, in);
		break;
	default:
		pump(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { .peer = { -1, -1, -1 } }, *r = &rig;

	MUST((r->m = gmem_create()) && (r->ram = calloc(1, MEMORY)) && (r->loop = loop_create()));
	MUST(!gmem_add(r->m, 0, MEMORY, r->ram, 0));
	MUST((r->tick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) >= 0);
	MUST(loop_add(r->loop, r->tick, EPOLLIN, on_tick, r) >= 0);
	const struct vcon_setup setup = { r->m, r->loop, PORTS, true, false };
	MUST((r->v = vcon_create(&setup)));
	virtio_connect(&r->v->vdev, &transport, r, false);
	for (uint32_t id = 0; id < PORTS; id++) {
		MUST((r->chan[id] =
			      chan_create(r->loop, CHAN_LIMIT_MIN, id ? CHAN_BLOCK : CHAN_DROP)));
		give_peer(r, id, id == 1);
		if (id < 2)
			MUST(!vcon_add(r->v, id, r->chan[id], !id, "org.x"));
	}
	probe(r, (uint8_t)take(&in, 1));
	while (in.left)
		one_step(r, &in);
	again(r);
	vcon_destroy(r->v);
	for (uint32_t id = 0; id < PORTS; id++) {
		chan_destroy(r->chan[id]);
		if (r->peer[id] >= 0)
			close(r->peer[id]);
	}
	loop_destroy(r->loop);
	close(r->tick);
	gmem_destroy(r->m);
	free(r->ram);
	return 0;
}
