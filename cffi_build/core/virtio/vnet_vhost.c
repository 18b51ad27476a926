// SPDX-License-Identifier: Apache-2.0
// Rings that the kernel serves (vhost-net): how they are handed over and taken back.
//
// vhost is given the ring where it stands, and reaches the guest's memory through our mapping. The
// driver's notifications go straight to it, its own to the vector's eventfd, which KVM listens to
// while the vector is not masked; with the function's pin they come through the loop. What vhost
// finds wrong with a ring it tells through another eventfd.
#include <linux/vhost.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vnet_impl.h"

static int ask(int fd, unsigned long request, const void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

// The eventfd is watched edge-triggered and need not be read: each write is an event of its own.
static int listen_to(struct loop *loop, loop_fn fn, void *opaque, int *fd, int *handle)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*fd < 0)
		return -errno;
	*handle = loop_add(loop, *fd, EPOLLIN | EPOLLET, fn, opaque);
	return *handle < 0 ? *handle : 0;
}

static void listen_no_more(struct loop *loop, int *fd, int *handle)
{
	loop_remove(loop, *handle);
	if (*fd >= 0)
		close(*fd);
	*fd = *handle = -1;
}

static int set_memory(struct vnet *n)
{
	union {
		struct vhost_memory table;
		uint8_t room[sizeof(struct vhost_memory) +
			     GMEM_MAX_REGIONS * sizeof(struct vhost_memory_region)];
	} m = { .table = { 0 } };
	int err = 0;

	// First: a map that changes meanwhile leaves an old number behind.
	n->vhost_generation = gmem_generation(n->vdev.mem);
	const struct gmem_map *map = atomic_load(&n->vdev.mem->map);
	for (uint32_t i = 0; i < map->count; i++) {
		const struct gmem_region *r = &map->region[i];
		if (r->flags & GMEM_READONLY)
			continue; // vhost knows no such thing
		m.table.regions[m.table.nregions++] = (struct vhost_memory_region){
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->hva,
		};
	}
	for (uint32_t i = 0; i < n->pairs && !err; i++)
		err = ask(n->pair[i].vhost_fd, VHOST_SET_MEM_TABLE, &m.table);
	return err;
}

// --- vhost's eventfds that come here

// Passes on what vhost has said, if it was not yet.
static void pass_call(struct vnet_lent *r)
{
	uint64_t count;

	if (r->call_fd >= 0 && read(r->call_fd, &count, sizeof(count)) > 0)
		virtio_interrupt(vnet_dev(r->pair), r->queue);
}

static void on_call(void *opaque, uint32_t events)
{
	(void)events;
	pass_call(opaque);
}

static void on_error(void *opaque, uint32_t events)
{
	struct vnet_lent *r = opaque;

	(void)events;
	virtio_needs_reset(vnet_dev(r->pair), VIRTIO_FAULT_RING);
}

static int set_fd(struct vnet_lent *r, unsigned long request, int fd)
{
	const struct vhost_vring_file file = { .index = r->queue % 2, .fd = fd };

	return ask(r->pair->vhost_fd, request, &file);
}

// The eventfd of the queue's vector, or -1.
static int vector_of(struct vnet_lent *r)
{
	struct virtio_dev *d = vnet_dev(r->pair);
	const struct virtio_transport *t = d->transport;

	return t->interrupt_fd ? t->interrupt_fd(d->transport_opaque, r->queue) : -1;
}

// Where vhost says that it has used buffers.
static int set_call(struct vnet_lent *r)
{
	int err = 0;

	r->vector_fd = vector_of(r);
	if (r->vector_fd < 0 && r->call_fd < 0)
		err = listen_to(vnet_dev(r->pair)->loop, on_call, r, &r->call_fd, &r->call_handle);
	if (err)
		return err;
	return set_fd(r, VHOST_SET_VRING_CALL, r->vector_fd < 0 ? r->call_fd : r->vector_fd);
}

static bool is_written(int eventfd)
{
	struct pollfd p = { .fd = eventfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

// The driver chose another vector, or turned vectors on or off, while vhost has the ring.
static void follow(struct vnet_lent *r)
{
	struct virtio_dev *d = vnet_dev(r->pair);
	int before = r->vector_fd;

	if (!r->lent || vector_of(r) == before)
		return;
	if (set_call(r)) {
		virtio_needs_reset(d, VIRTIO_FAULT_HOST);
		return;
	}
	if (r->vector_fd >= 0)
		listen_no_more(d->loop, &r->call_fd, &r->call_handle);
	// What vhost said meanwhile went where the driver no longer looks. One interrupt too many
	// costs a vector nothing; the pin gets none that was not due.
	if (r->vector_fd >= 0 || is_written(before))
		virtio_interrupt(d, r->queue);
}

// --- The ring

static int set_ring(struct vnet_lent *r)
{
	struct virtio_dev *d = vnet_dev(r->pair);
	int fd = r->pair->vhost_fd;
	struct vq_rings at;

	int err = vq_rings(&d->queue[r->queue].vq, &at);
	if (err)
		return err;
	const uint32_t index = r->queue % 2;
	const struct vhost_vring_state size = { index, at.size }, base = { index, at.next };
	const struct vhost_vring_addr address = {
		.index = index,
		.desc_user_addr = (uintptr_t)at.desc,
		.avail_user_addr = (uintptr_t)at.avail,
		.used_user_addr = (uintptr_t)at.used,
	};
	err = ask(fd, VHOST_SET_VRING_NUM, &size);
	if (!err)
		err = ask(fd, VHOST_SET_VRING_BASE, &base);
	return err ? err : ask(fd, VHOST_SET_VRING_ADDR, &address);
}

static int hand_over(struct vnet_lent *r)
{
	struct virtio_dev *d = vnet_dev(r->pair);
	int err = 0;

	if (r->pair->n->vhost_generation != gmem_generation(d->mem))
		err = set_memory(r->pair->n);
	if (!err)
		err = set_ring(r);
	if (!err)
		err = set_call(r);
	if (!err)
		err = listen_to(d->loop, on_error, r, &r->err_fd, &r->err_handle);
	if (!err)
		err = set_fd(r, VHOST_SET_VRING_ERR, r->err_fd);
	if (!err)
		err = set_fd(r, VHOST_NET_SET_BACKEND, r->pair->fd);
	// A kick that nobody has seen yet counts at once; there may have been none that was needed.
	if (!err)
		virtio_again(d, r->queue);
	return err ? err : set_fd(r, VHOST_SET_VRING_KICK, d->queue[r->queue].kick_fd);
}

void vnet_vhost_lend(struct vnet_lent *r)
{
	struct virtio_dev *d = vnet_dev(r->pair);

	if (r->lent)
		return;
	virtio_queue_lend(d, r->queue);
	r->lent = true;
	atomic_fetch_add(&r->pair->n->lent, 1);
	int err = hand_over(r);
	if (!err)
		return;
	vnet_vhost_reclaim(r);
	virtio_needs_reset(d, err == -EFAULT || err == -EINVAL ? VIRTIO_FAULT_ADDRESS
							       : VIRTIO_FAULT_HOST);
}

void vnet_vhost_reclaim(struct vnet_lent *r)
{
	struct virtio_dev *d = vnet_dev(r->pair);
	struct vhost_vring_state base = { .index = r->queue % 2 };

	if (!r->lent)
		return;
	set_fd(r, VHOST_NET_SET_BACKEND, VHOST_FILE_UNBIND); // what is under way ends first
	if (!ask(r->pair->vhost_fd, VHOST_GET_VRING_BASE, &base))
		vq_seek(&d->queue[r->queue].vq, (uint16_t)base.num);
	set_fd(r, VHOST_SET_VRING_KICK, VHOST_FILE_UNBIND);
	set_fd(r, VHOST_SET_VRING_CALL, VHOST_FILE_UNBIND);
	set_fd(r, VHOST_SET_VRING_ERR, VHOST_FILE_UNBIND);
	pass_call(r);
	listen_no_more(d->loop, &r->call_fd, &r->call_handle);
	listen_no_more(d->loop, &r->err_fd, &r->err_handle);
	r->lent = false;
	atomic_fetch_sub(&r->pair->n->lent, 1);
	if (virtio_queue_reclaim(d, r->queue))
		virtio_needs_reset(d, VIRTIO_FAULT_HOST);
}

void vnet_vhost_reclaim_all(struct vnet *n)
{
	for (uint32_t i = 0; i < n->pairs; i++) {
		vnet_vhost_reclaim(&n->pair[i].ring[0]);
		vnet_vhost_reclaim(&n->pair[i].ring[1]);
	}
}

void vnet_vhost_follow(struct vnet *n)
{
	if (!virtio_live(&n->vdev)) {
		vnet_vhost_reclaim_all(n);
		return;
	}
	for (uint32_t i = 0; i < n->pairs; i++) {
		follow(&n->pair[i].ring[0]);
		follow(&n->pair[i].ring[1]);
	}
}

// --- All of them

// What vhost knows of memory is no longer true: each ring's next kick tells it anew.
static void on_map(void *opaque, uint32_t events)
{
	struct vnet *n = opaque;

	(void)events;
	vnet_vhost_reclaim_all(n);
}

int vnet_vhost_start(struct vnet *n)
{
	uint64_t known = n->vdev.acked & n->vhost_features;
	int err = 0;

	for (uint32_t i = 0; i < n->pairs && !err; i++)
		err = ask(n->pair[i].vhost_fd, VHOST_SET_FEATURES, &known);
	if (!err)
		err = listen_to(n->vdev.loop, on_map, n, &n->map_fd, &n->map_handle);
	if (!err)
		err = gmem_watch(n->vdev.mem, n->map_fd);
	return err ? err : set_memory(n);
}

void vnet_vhost_stop(struct vnet *n)
{
	vnet_vhost_reclaim_all(n);
	gmem_unwatch(n->vdev.mem, n->map_fd);
	listen_no_more(n->vdev.loop, &n->map_fd, &n->map_handle);
}
