// SPDX-License-Identifier: Apache-2.0
// The entropy device: everything here runs on the device's loop.
#include "virtio_rng.h"

#include <stdlib.h>
#include <sys/random.h>

static void wait_until(struct virtio_rng *r, int64_t deadline)
{
	count_add(&r->waits, 1);
	r->waiting = true;
	timer_arm(&r->timer, deadline);
}

// How many bytes may be given now; 0: the timer will tell.
static uint64_t allowance(struct virtio_rng *r)
{
	if (!r->max_bytes)
		return RNG_MOST_BYTES;
	int64_t now = vclock_ns(r->clock);
	if (now >= r->period_end) {
		r->quota = r->max_bytes;
		r->period_end = now + r->period_ns;
	}
	if (!r->quota)
		wait_until(r, r->period_end);
	return r->quota < RNG_MOST_BYTES ? r->quota : RNG_MOST_BYTES;
}

// Fills the start of one piece: how many bytes, or -errno. A pipe that nobody writes to has nothing
// yet.
static ssize_t draw(struct virtio_rng *r, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = r->source < 0 ? getrandom(buf, len, 0) : read(r->source, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n ? n : -EAGAIN;
}

// Fills up to `most` bytes of the chain: how many, or -errno if there were none.
static ssize_t fill(struct virtio_rng *r, const struct vq_chain *c, uint64_t most)
{
	ssize_t done = 0;

	for (uint32_t i = 0; i < c->in_count && most; i++) {
		const struct iovec *piece = &c->piece[c->out_count + i];
		size_t len = piece->iov_len < most ? piece->iov_len : most;
		ssize_t n = draw(r, piece->iov_base, len);
		if (n < 0)
			return done ? done : n;
		done += n;
		most -= (uint64_t)n;
		if ((size_t)n < len)
			break;
	}
	return done;
}

// Serves the chain popped last: how many bytes, or -EAGAIN (the timer is armed) or another -errno.
static ssize_t serve_chain(struct virtio_rng *r, const struct vq_chain *chain)
{
	uint64_t most = allowance(r);

	if (!most)
		return -EAGAIN;
	ssize_t n = fill(r, chain, most);
	if (n == -EAGAIN)
		wait_until(r, vclock_ns(r->clock) + RNG_RETRY_NS);
	if (n > 0) {
		count_add(&r->bytes, (uint64_t)n);
		r->quota -= r->max_bytes ? (uint64_t)n : 0;
	}
	return n;
}

// 1: served a chain; 0: nothing more to do now.
static int serve_one(struct virtio_rng *r, struct vq *vq)
{
	struct vq_chain chain = { .piece = r->piece, .cap = ARRAY_LEN(r->piece) };
	int got = vq_pop(vq, &chain);

	if (got < 0)
		virtio_needs_reset(&r->vdev, VIRTIO_FAULT_RING);
	if (got <= 0)
		return 0;
	ssize_t n = serve_chain(r, &chain);
	if (n < 0) {
		vq_unpop(vq);
		if (n != -EAGAIN)
			virtio_needs_reset(&r->vdev, VIRTIO_FAULT_HOST);
		return 0;
	}
	vq_push(vq, chain.head, (uint32_t)n);
	return 1;
}

// A guest that refills the ring as fast as we empty it gets one round, then others their turn.
static void kick(struct virtio_dev *d, uint32_t queue)
{
	struct virtio_rng *r = container_of(d, struct virtio_rng, vdev);
	struct vq *vq = &d->queue[queue].vq;
	uint32_t served = 0;

	while (served < RNG_QUEUE_SIZE && serve_one(r, vq))
		served++;
	if (vq_flush(vq))
		virtio_interrupt(d, queue);
	if (vq_kicks_on(vq) && !r->waiting)
		virtio_again(d, queue);
}

static void again(void *opaque)
{
	struct virtio_rng *r = opaque;

	r->waiting = false;
	if (virtio_queue_live(&r->vdev, 0))
		kick(&r->vdev, 0);
}

static void stop(struct virtio_dev *d)
{
	struct virtio_rng *r = container_of(d, struct virtio_rng, vdev);

	timer_disarm(&r->timer);
	r->waiting = false;
	virtio_stopped(d);
}

static const struct virtio_ops rng_ops = { .kick = kick, .stop = stop };

struct virtio_rng *virtio_rng_create(const struct virtio_rng_setup *setup)
{
	static const uint16_t sizes[] = { RNG_QUEUE_SIZE };
	const struct virtio_setup core = {
		.device_id = VIRTIO_ID_RNG,
		.queue_count = 1,
		.queue_size = sizes,
		.mem = setup->mem,
		.loop = setup->loop,
		.ops = &rng_ops,
	};
	struct virtio_rng *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->source = setup->source;
	r->clock = setup->clock;
	r->max_bytes = setup->max_bytes;
	r->period_ns = (int64_t)setup->period_ns;
	int err = timer_init(&r->timer, setup->clock, setup->loop, again, r);
	if (!err) {
		err = virtio_init(&r->vdev, &core);
		if (err)
			timer_deinit(&r->timer);
	}
	if (err) {
		free(r);
		errno = -err;
		return NULL;
	}
	return r;
}

void virtio_rng_destroy(struct virtio_rng *r)
{
	if (!r)
		return;
	timer_deinit(&r->timer);
	virtio_deinit(&r->vdev);
	free(r);
}

void virtio_rng_save(struct virtio_rng *r, struct virtio_rng_state *ret)
{
	*ret = (struct virtio_rng_state){
		.version = VIRTIO_RNG_STATE_VERSION,
		.quota = r->quota,
		.period_end = r->period_end,
	};
}

int virtio_rng_load(struct virtio_rng *r, const struct virtio_rng_state *state)
{
	if (state->version != VIRTIO_RNG_STATE_VERSION || state->quota > r->max_bytes ||
	    state->period_end < 0)
		return -EINVAL;
	r->quota = state->quota;
	r->period_end = state->period_end;
	return 0;
}

void virtio_rng_counters(struct virtio_rng *r, struct virtio_rng_counters *ret)
{
	*ret = (struct virtio_rng_counters){ count_get(&r->bytes), count_get(&r->waits) };
}
