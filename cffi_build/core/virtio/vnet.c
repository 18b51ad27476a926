// SPDX-License-Identifier: Apache-2.0
// The network device: making and unmaking, start and stop, kicks.
#include "vnet.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "tap.h"
#include "vnet_impl.h"

// --- What the tap is told

void vnet_listen(struct vnet_pair *p)
{
	uint32_t events = EPOLLET;

	events |= p->rx_muted ? 0 : EPOLLIN;
	events |= p->tx_waits ? EPOLLOUT : 0;
	loop_modify(vnet_dev(p)->loop, p->handle, events);
}

void vnet_lost(struct vnet_pair *p)
{
	const uint16_t down = 0;

	if (p->handle < 0)
		return;
	loop_remove(vnet_dev(p)->loop, p->handle);
	p->handle = -1;
	count_add(&p->n->lost, 1);
	virtio_config_changed(vnet_dev(p), offsetof(struct virtio_net_config, status), &down,
			      sizeof(down));
}

int vnet_apply_pairs(struct vnet *n)
{
	for (uint32_t i = 0; i < n->pairs && n->tap && n->pairs > 1; i++) {
		struct vnet_pair *p = &n->pair[i];
		bool wanted = i < n->active;
		struct ifreq request = {
			.ifr_flags = wanted ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
		};
		if (p->attached == wanted)
			continue;
		if (ioctl(p->fd, TUNSETQUEUE, &request))
			return -errno;
		p->attached = wanted;
	}
	return 0;
}

// --- Life on the loop

// A queue that is not attached reports an error too.
static bool is_gone(struct vnet_pair *p)
{
	return p->n->tap && p->attached && tap_gone(p->fd);
}

static void on_tap(void *opaque, uint32_t events)
{
	struct vnet_pair *p = opaque;
	struct virtio_dev *d = vnet_dev(p);

	if (p->tx_waits && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		p->tx_waits = false;
		vnet_listen(p);
		if (virtio_queue_live(d, p->tx_queue))
			vnet_tx(p);
	}
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	if (events & EPOLLERR && is_gone(p))
		vnet_lost(p);
	if (virtio_queue_live(d, p->rx_queue) && !p->rx_waits) {
		vnet_rx(p);
	} else if (p->handle >= 0) { // until there is a kick
		p->rx_muted = true;
		vnet_listen(p);
	}
}

static int start_pair(struct vnet_pair *p)
{
	struct virtio_dev *d = vnet_dev(p);

	p->rx_waits = true; // for its first kick
	p->rx_muted = p->tx_waits = false;
	p->rx_want = VNET_WANT_LEAST;
	p->held_len = 0;
	if (p->n->vhost)
		return 0;
	p->handle = loop_add(d->loop, p->fd, EPOLLIN | EPOLLET, on_tap, p);
	return p->handle < 0 ? p->handle : 0;
}

static void stop_pairs(struct vnet *n)
{
	for (uint32_t i = 0; i < n->pairs; i++) {
		struct vnet_pair *p = &n->pair[i];
		loop_remove(n->vdev.loop, p->handle);
		p->handle = -1;
		p->held_len = 0;
	}
}

static int start(struct virtio_dev *d)
{
	struct vnet *n = container_of(d, struct vnet, vdev);
	int err = vnet_apply_offloads(n);

	if (!err)
		err = vnet_apply_pairs(n);
	if (err == -EBADFD)
		err = 0; // the tap is gone: a link that is down, as the loop will find
	if (!err && n->vhost)
		err = vnet_vhost_start(n);
	for (uint32_t i = 0; i < n->pairs && !err; i++)
		err = start_pair(&n->pair[i]);
	if (err) {
		vnet_vhost_stop(n);
		stop_pairs(n);
	}
	return err;
}

static void stop(struct virtio_dev *d)
{
	struct vnet *n = container_of(d, struct vnet, vdev);

	vnet_vhost_stop(n);
	stop_pairs(n);
	virtio_stopped(d);
}

// Without VIRTIO_NET_F_MQ the control queue is the third (5.1.2).
static uint32_t control_queue(const struct vnet *n)
{
	return virtio_has(&n->vdev, VIRTIO_NET_F_MQ) ? 2 * n->pairs : 2;
}

static void queue_stop(struct virtio_dev *d, uint32_t queue)
{
	struct vnet *n = container_of(d, struct vnet, vdev);

	if (queue / 2 < n->pairs)
		vnet_vhost_reclaim(&n->pair[queue / 2].ring[queue % 2]);
	virtio_queue_stopped(d, queue);
}

static void quiesce(struct virtio_dev *d)
{
	vnet_vhost_reclaim_all(container_of(d, struct vnet, vdev));
	virtio_quiesced(d);
}

static void changed(struct virtio_dev *d)
{
	vnet_vhost_follow(container_of(d, struct vnet, vdev));
}

static void kick(struct virtio_dev *d, uint32_t queue)
{
	struct vnet *n = container_of(d, struct vnet, vdev);

	if (queue == control_queue(n)) {
		if (virtio_has(d, VIRTIO_NET_F_CTRL_VQ))
			vnet_control(n, queue);
	} else if (queue / 2 >= n->active) {
		return; // until the driver says that it uses the pair
	} else if (n->vhost) {
		vnet_vhost_lend(&n->pair[queue / 2].ring[queue % 2]);
	} else if (queue % 2) {
		vnet_tx(&n->pair[queue / 2]);
	} else {
		vnet_rx(&n->pair[queue / 2]);
	}
}

static void reset(struct virtio_dev *d)
{
	struct vnet *n = container_of(d, struct vnet, vdev);

	n->active = 1;
	n->offloads = UINT64_MAX;
	memcpy(d->config, n->mac, sizeof(n->mac));
}

static const struct virtio_ops vnet_ops = {
	.start = start,
	.kick = kick,
	.stop = stop,
	.queue_stop = queue_stop,
	.quiesce = quiesce,
	.changed = changed,
	.features_ok = vnet_features_ok,
	.reset = reset,
};

// --- Making and unmaking

static void make_pairs(struct vnet *n, const struct vnet_setup *setup)
{
	for (uint32_t i = 0; i < n->pairs; i++) {
		struct vnet_pair *p = &n->pair[i];
		p->n = n;
		p->rx_queue = 2 * i;
		p->tx_queue = 2 * i + 1;
		p->fd = setup->fd[i];
		p->vhost_fd = setup->vhost_fd[i];
		p->handle = -1;
		p->attached = true;
		for (uint32_t r = 0; r < 2; r++) {
			p->ring[r] = (struct vnet_lent){
				.pair = p,
				.queue = 2 * i + r,
				.vector_fd = -1,
				.call_fd = -1,
				.call_handle = -1,
				.err_fd = -1,
				.err_handle = -1,
			};
		}
	}
}

static void fill_config(struct vnet *n, const struct vnet_setup *setup)
{
	struct virtio_net_config config = {
		.status = VIRTIO_NET_S_LINK_UP,
		.max_virtqueue_pairs = (uint16_t)n->pairs,
		.mtu = setup->mtu,
	};

	memcpy(config.mac, setup->mac, sizeof(config.mac));
	memcpy(n->vdev.config, &config, n->vdev.config_len);
}

struct vnet *vnet_create(const struct vnet_setup *setup)
{
	uint16_t sizes[2 * VNET_MAX_PAIRS + 1];
	const struct virtio_setup core = {
		.device_id = VIRTIO_ID_NET,
		.features = vnet_features(setup),
		.queue_count = 2 * setup->pairs + 1,
		.queue_size = sizes,
		.config_len = offsetof(struct virtio_net_config, mtu) + sizeof(uint16_t),
		.mem = setup->mem,
		.loop = setup->loop,
		.ops = &vnet_ops,
	};

	errno = EINVAL;
	if (!setup->pairs || setup->pairs > VNET_MAX_PAIRS)
		return NULL;
	struct vnet *n = calloc(1, sizeof(*n) + (size_t)setup->pairs * sizeof(n->pair[0]));
	if (!n)
		return NULL;
	for (uint32_t i = 0; i < core.queue_count; i++)
		sizes[i] = VNET_QUEUE_SIZE;
	sizes[core.queue_count - 1] = VNET_CONTROL_SIZE;
	n->pairs = setup->pairs;
	n->tap = setup->tap;
	n->vhost = setup->vhost_fd[0] >= 0;
	n->vhost_features = setup->vhost_features;
	n->map_fd = n->map_handle = -1;
	n->active = 1;
	n->offloads = UINT64_MAX;
	memcpy(n->mac, setup->mac, sizeof(n->mac));
	make_pairs(n, setup);
	int err = virtio_init(&n->vdev, &core);
	if (err) {
		free(n);
		errno = -err;
		return NULL;
	}
	n->vdev.offered &= setup->allowed;
	fill_config(n, setup);
	return n;
}

void vnet_destroy(struct vnet *n)
{
	if (!n)
		return;
	vnet_vhost_stop(n);
	virtio_deinit(&n->vdev);
	free(n);
}
