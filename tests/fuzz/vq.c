// SPDX-License-Identifier: Apache-2.0
// The ring walker: a driver that writes anything anywhere, a device that uses what it gets, a
// memory map that changes underneath.
#include <linux/virtio_ring.h>

#include "fuzz.h"
#include "iov.h"
#include "vq.h"

#define REGIONS 3
#define CAP 32

struct rig {
	struct gmem *m;
	struct gmem_dev dev;
	struct vq q;
	struct vq_config config;
	uint64_t gpa[REGIONS], size[REGIONS];
	uint8_t *hva[REGIONS]; // NULL: not there now
	uint32_t held; // chains that the device has
	uint16_t head[VQ_MAX_SIZE];
};

// Regions of their own allocations, the first two adjoining: the address sanitizer knows their
// ends.
static const uint64_t places[REGIONS] = { 0, 0x1000, 0x100000000 }, sizes[] = { 0x1000, 0x400 };

static void add_region(struct rig *r, uint32_t i)
{
	r->gpa[i] = places[i];
	r->size[i] = sizes[i % ARRAY_LEN(sizes)];
	r->hva[i] = calloc(1, r->size[i]);
	MUST(r->hva[i]);
	MUST(!gmem_add(r->m, r->gpa[i], r->size[i], r->hva[i], i == 2 ? GMEM_READONLY : 0));
}

static void remove_region(struct rig *r, uint32_t i)
{
	MUST(!gmem_remove(r->m, r->gpa[i], r->size[i]));
	free(r->hva[i]);
	r->hva[i] = NULL;
}

// The driver writes what the input says into a region.
static void scribble(struct rig *r, struct input *in)
{
	uint32_t i = (uint32_t)take(in, 1) % REGIONS;
	uint64_t at = take(in, 2) % 0x400, len = take(in, 1);

	if (r->hva[i] && at + len <= r->size[i])
		take_into(in, r->hva[i] + at, len);
}

// A descriptor that makes sense more often than random bytes do.
static void describe(struct rig *r, struct input *in)
{
	uint16_t index = (uint16_t)(take(in, 1) % 16);
	struct vring_desc d = {
		.addr = take(in, 2) | (take(in, 1) & 1 ? places[2] : 0),
		.len = (uint32_t)take(in, 1) << (take(in, 1) % 24),
		.flags = (uint16_t)take(in, 1),
		.next = (uint16_t)(take(in, 1) % 17),
	};
	uint64_t at = (take(in, 1) & 1 ? r->config.desc : take(in, 1) * 16) + index * sizeof(d);

	gmem_write(r->m, &r->dev, at, &d, sizeof(d));
}

// Makes a head available, as a driver does.
static void offer(struct rig *r, struct input *in)
{
	uint16_t idx = 0, head = (uint16_t)(take(in, 1) % 17);
	uint64_t size = r->config.size ? r->config.size : 1;

	gmem_read(r->m, &r->dev, r->config.avail + 2, &idx, sizeof(idx));
	gmem_write(r->m, &r->dev, r->config.avail + 4 + idx % size * 2, &head, sizeof(head));
	idx++;
	gmem_write(r->m, &r->dev, r->config.avail + 2, &idx, sizeof(idx));
}

static void start(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);

	r->config = (struct vq_config){
		.size = (uint16_t)(1u << (how & 3)),
		.desc = 0x100,
		.avail = 0x200,
		.used = 0x280,
		.event_idx = how & 4,
		.indirect = how & 8,
	};
	if (how & 16)
		r->config.size = (uint16_t)take(in, 2);
	if (how & 32)
		r->config.desc = take(in, 2) << (how >> 6);
	if (how & 64)
		r->config.used = take(in, 2);
	if (how & 128)
		r->config.last_avail = (uint16_t)(r->config.used_idx = (uint16_t)take(in, 2));
	r->held = 0;
	int err = vq_start(&r->q, r->m, &r->dev, &r->config);
	MUST(!err || err == -EINVAL || err == -EFAULT || err == -EROFS);
	MUST(!err == !r->q.broken);
}

static bool known(int err)
{
	static const int why[] = { -ERANGE, -ENXIO, -EEXIST,	-ELOOP, -EPROTO,   -EINVAL,
				   -EFAULT, -EROFS, -EOVERFLOW, -E2BIG, -ESHUTDOWN };

	for (size_t i = 0; i < ARRAY_LEN(why); i++)
		if (why[i] == err)
			return true;
	return false;
}

// Everything that a device does with a chain, from end to end of every piece.
static void use(struct vq_chain *c)
{
	uint64_t len[2] = { 0 };
	uint8_t buf[64] = { 0 };

	MUST(c->out_count + c->in_count <= c->cap);
	for (uint32_t i = 0; i < c->out_count + c->in_count; i++) {
		volatile uint8_t *p = c->piece[i].iov_base;
		MUST(c->piece[i].iov_len);
		len[i >= c->out_count] += c->piece[i].iov_len;
		uint8_t last = p[c->piece[i].iov_len - 1];
		if (i >= c->out_count)
			p[c->piece[i].iov_len - 1] = last;
	}
	MUST(len[0] == c->out_len && len[1] == c->in_len);
	size_t n = iov_to_buf(c->piece, c->out_count, c->out_len / 3, buf, sizeof(buf));
	MUST(n <= sizeof(buf) && n <= c->out_len);
	n = iov_from_buf(c->piece + c->out_count, c->in_count, c->in_len / 2, buf, sizeof(buf));
	MUST(n <= sizeof(buf) && n <= c->in_len);
}

static void pop(struct rig *r, struct input *in)
{
	struct iovec piece[CAP];
	struct vq_chain c = { .piece = piece, .cap = 1 + (uint32_t)take(in, 1) % CAP };
	int got = vq_pop(&r->q, &c);

	if (got != 1) {
		MUST(got == 0 ? !r->q.broken : known(got) && r->q.broken == got);
		return;
	}
	MUST(c.head < r->config.size && r->held < r->config.size);
	for (uint32_t i = 0; i < r->held; i++)
		MUST(r->head[i] != c.head);
	use(&c);
	if (c.head & 1 && take(in, 1) & 1)
		vq_unpop(&r->q);
	else
		r->head[r->held++] = c.head;
}

static void push(struct rig *r, struct input *in)
{
	if (!r->held)
		return;
	uint32_t i = (uint32_t)take(in, 1) % r->held;
	vq_push(&r->q, r->head[i], (uint32_t)take(in, 2));
	r->head[i] = r->head[--r->held];
}

static void one_step(struct rig *r, struct input *in)
{
	struct vq_counts counts;
	uint32_t i = 0;

	switch (take(in, 1) % 16) {
	case 0:
		start(r, in);
		break;
	case 1:
		i = (uint32_t)take(in, 1) % REGIONS;
		r->hva[i] ? remove_region(r, i) : add_region(r, i);
		break;
	case 2:
		vq_kicks_on(&r->q);
		break;
	case 3:
		vq_kicks_off(&r->q);
		break;
	case 4:
		vq_stop(&r->q, take(in, 1) & 1 ? &r->config : NULL);
		MUST(r->q.broken == -ESHUTDOWN);
		break;
	case 5:
		vq_counts(&r->q, &counts);
		MUST(vq_empty(&r->q) || !r->q.broken);
		if (take(in, 1) & 1)
			vq_look_again(&r->q);
		break;
	case 6:
		scribble(r, in);
		break;
	case 7:
	case 8:
		push(r, in);
		break;
	case 9:
		vq_flush(&r->q);
		break;
	case 10:
	case 11:
		pop(r, in);
		break;
	case 12:
	case 13:
		offer(r, in);
		break;
	default:
		describe(r, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig *r = calloc(1, sizeof(*r));

	MUST(r && (r->m = gmem_create()));
	for (uint32_t i = 0; i < REGIONS; i++)
		add_region(r, i);
	start(r, &in);
	while (in.left)
		one_step(r, &in);
	gmem_destroy(r->m);
	for (uint32_t i = 0; i < REGIONS; i++)
		free(r->hva[i]);
	free(r);
	return 0;
}
