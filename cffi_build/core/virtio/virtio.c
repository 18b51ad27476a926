// SPDX-License-Identifier: Apache-2.0
// A virtio device: making and unmaking, what it tells the driver, what the machine asks of it.
#include "virtio.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "virtio_impl.h"

// --- Making and unmaking

static void on_request(void *opaque, uint32_t events)
{
	(void)events;
	virtio_service(opaque);
}

static int make_queues(struct virtio_dev *d, const uint16_t *size)
{
	for (uint32_t i = 0; i < d->queue_count; i++) {
		uint16_t n = size[i];
		if (!n || n & (n - 1) || n > VQ_MAX_SIZE)
			return -EINVAL;
		d->queue[i] = (struct virtio_queue){
			.d = d,
			.index = i,
			.max_size = n,
			.size = n,
			.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		};
		if (d->queue[i].kick_fd < 0)
			return -errno;
	}
	return 0;
}

int virtio_init(struct virtio_dev *d, const struct virtio_setup *setup)
{
	if (setup->queue_count > VIRTIO_MAX_QUEUES || setup->config_len > VIRTIO_CONFIG_MAX)
		return -EINVAL;
	dev_init(&d->dev, NULL, 0);
	d->ops = setup->ops;
	d->mem = setup->mem;
	d->loop = setup->loop;
	d->device_id = setup->device_id;
	d->offered = setup->features | VIRTIO_COMMON_FEATURES;
	d->required = VIRTIO_BIT(VIRTIO_F_VERSION_1);
	d->config_len = setup->config_len;
	d->request_handle = -1;
	d->queue = calloc(setup->queue_count ? setup->queue_count : 1, sizeof(*d->queue));
	if (!d->queue)
		return -ENOMEM;
	for (; d->queue_count < setup->queue_count; d->queue_count++)
		d->queue[d->queue_count].kick_fd = -1;
	d->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int err = d->request_fd < 0 ? -errno : make_queues(d, setup->queue_size);
	if (!err) {
		d->request_handle =
			loop_add(d->loop, d->request_fd, EPOLLIN | EPOLLET, on_request, d);
		err = d->request_handle < 0 ? d->request_handle : 0;
	}
	if (err)
		virtio_deinit(d);
	return err;
}

void virtio_deinit(struct virtio_dev *d)
{
	loop_remove(d->loop, d->request_handle);
	for (uint32_t i = 0; i < d->queue_count; i++) {
		virtio_forget_queue(&d->queue[i]);
		if (d->queue[i].kick_fd >= 0)
			close(d->queue[i].kick_fd);
	}
	if (d->request_fd >= 0)
		close(d->request_fd);
	loop_forget(d->loop, d);
	free(d->queue);
	dev_deinit(&d->dev);
}

// --- A word that threads wait for

void virtio_word_set(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

// Waits until `word` is `wanted`: 0, or -ETIMEDOUT after `ms` milliseconds.
static int word_wait(_Atomic uint32_t *word, uint32_t wanted, uint32_t ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	for (;;) {
		uint32_t seen = atomic_load(word);
		if (seen == wanted)
			return 0;
		// An absolute time on CLOCK_MONOTONIC.
		long err = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, &end, NULL,
				   FUTEX_BITSET_MATCH_ANY);
		if (err && errno == ETIMEDOUT)
			return -ETIMEDOUT;
	}
}

// --- What devices call

void virtio_again(struct virtio_dev *d, uint32_t queue)
{
	virtio_nudge(d->queue[queue].kick_fd);
}

void virtio_interrupt(struct virtio_dev *d, uint32_t queue)
{
	count_add(&d->queue[queue].interrupts, 1);
	d->transport->interrupt(d->transport_opaque, (int)queue);
}

static void config_interrupt(struct virtio_dev *d)
{
	count_add(&d->config_interrupts, 1);
	d->transport->interrupt(d->transport_opaque, -1);
}

// Whether the driver listens. Context: dev.lock held.
static bool driver_ready(const struct virtio_dev *d)
{
	return d->status & VIRTIO_CONFIG_S_DRIVER_OK && atomic_load(&d->phase) == VIRTIO_RUNNING;
}

void virtio_config_changed(struct virtio_dev *d, uint32_t offset, const void *bytes, uint32_t len)
{
	bool ready;

	{
		LOCKED(&d->dev.lock);
		if (offset > d->config_len || len > d->config_len - offset)
			return;
		memcpy(d->config + offset, bytes, len);
		d->generation++;
		ready = driver_ready(d);
	}
	if (ready)
		config_interrupt(d);
}

void virtio_needs_reset(struct virtio_dev *d, enum virtio_fault why)
{
	bool ready;

	{
		LOCKED(&d->dev.lock);
		if (atomic_load(&d->phase) != VIRTIO_RUNNING || atomic_load(&d->broken))
			return;
		ready = driver_ready(d);
		d->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		atomic_store(&d->broken, true);
		virtio_ask(d, VIRTIO_ASK_CHANGED);
	}
	count_add(&d->faults, 1);
	loop_post_once(d->loop, VIRTIO_EVENT_NEEDS_RESET, why, d);
	if (ready)
		config_interrupt(d);
}

// --- The machine's side

void virtio_ask_reset(struct virtio_dev *d)
{
	LOCKED(&d->dev.lock);
	virtio_set_status(d, 0);
}

int virtio_wait_idle(struct virtio_dev *d, uint32_t ms)
{
	return word_wait(&d->phase, VIRTIO_IDLE, ms);
}

void virtio_ask_pause(struct virtio_dev *d)
{
	LOCKED(&d->dev.lock);
	d->requests &= ~(uint32_t)VIRTIO_ASK_RESUME;
	virtio_ask(d, VIRTIO_ASK_PAUSE);
}

int virtio_wait_quiet(struct virtio_dev *d, uint32_t ms)
{
	return word_wait(&d->quiet, 1, ms);
}

void virtio_ask_resume(struct virtio_dev *d)
{
	LOCKED(&d->dev.lock);
	d->requests &= ~(uint32_t)VIRTIO_ASK_PAUSE;
	virtio_ask(d, VIRTIO_ASK_RESUME);
}

void virtio_counters(struct virtio_dev *d, struct virtio_counters *ret)
{
	*ret = (struct virtio_counters){
		.starts = count_get(&d->starts),
		.resets = count_get(&d->resets),
		.faults = count_get(&d->faults),
		.refused = count_get(&d->refused),
		.ignored = count_get(&d->ignored),
		.config_interrupts = count_get(&d->config_interrupts),
	};
	for (uint32_t i = 0; i < d->queue_count; i++) {
		ret->kicks += count_get(&d->queue[i].kicks);
		ret->interrupts += count_get(&d->queue[i].interrupts);
	}
}
