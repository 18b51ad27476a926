// SPDX-License-Identifier: Apache-2.0
// A virtio console as a device: making, starting, resetting, its control queues.
#include "vcon.h"

#include <stdlib.h>

#include "iov.h"
#include "vcon_impl.h"

// --- Control queues

void vcon_control_send(struct vcon *v)
{
	struct virtio_queue *queue = &v->vdev.queue[VCON_CONTROL_RX];
	uint8_t message[VCON_MESSAGE_MAX];
	struct vq_chain chain;

	if (!vcon_many(v) || !virtio_queue_live(&v->vdev, VCON_CONTROL_RX))
		return;
	vq_kicks_off(&queue->vq);
	while (vcon_control_waiting(&v->control)) {
		if (!vcon_pop(v, VCON_CONTROL_RX, &chain)) {
			if (vcon_more(v, VCON_CONTROL_RX))
				continue;
			break;
		}
		size_t len = 0;
		if (chain.in_len < VCON_HEADER) { // the driver's fault: the next buffer, then
			count_own(&v->control_ignored, 1);
		} else {
			size_t n = vcon_control_next(&v->control, message);
			len = iov_from_buf(chain.piece + chain.out_count, chain.in_count, 0,
					   message, n);
			count_own(&v->control_out, 1);
		}
		vq_push(&queue->vq, chain.head, (uint32_t)len);
	}
	vcon_flush(v, VCON_CONTROL_RX);
}

void vcon_control_take(struct vcon *v)
{
	struct virtio_queue *queue = &v->vdev.queue[VCON_CONTROL_TX];
	struct vq_chain chain;
	uint32_t left = VCON_BUDGET_CHAINS;

	if (!vcon_many(v))
		return;
	vq_kicks_off(&queue->vq);
	while (left) {
		if (!vcon_pop(v, VCON_CONTROL_TX, &chain)) {
			if (vcon_more(v, VCON_CONTROL_TX))
				continue;
			break;
		}
		uint8_t packet[VCON_HEADER]; // GUEST: a copy, read once
		uint32_t id = 0;
		size_t len = iov_to_buf(chain.piece, chain.out_count, 0, packet, sizeof(packet));
		count_own(&v->control_in, 1);
		enum vcon_effect effect = vcon_control_receive(&v->control, packet, len, &id);
		vcon_port_effect(v, id, effect);
		vq_push(&queue->vq, chain.head, 0);
		left--;
	}
	vcon_flush(v, VCON_CONTROL_TX);
	if (!left)
		virtio_again(&v->vdev, VCON_CONTROL_TX);
	vcon_control_send(v);
}

// --- What the virtio core calls

// The port that a data queue belongs to, NULL for none.
static struct vcon_port *port_of(struct vcon *v, uint32_t queue)
{
	uint32_t id = queue < 2 ? 0 : queue / 2 - 1;

	return queue == VCON_CONTROL_RX || queue == VCON_CONTROL_TX ? NULL : v->port[id];
}

static int on_start(struct virtio_dev *d)
{
	struct vcon *v = container_of(d, struct vcon, vdev);

	// A saved state may have brought a window of its own.
	if (v->cols && v->rows)
		vcon_resize(v, v->cols, v->rows);
	return 0;
}

static void on_kick(struct virtio_dev *d, uint32_t queue)
{
	struct vcon *v = container_of(d, struct vcon, vdev);
	struct vcon_port *p = port_of(v, queue);

	if (queue == VCON_CONTROL_RX)
		vcon_control_send(v);
	else if (queue == VCON_CONTROL_TX)
		vcon_control_take(v);
	else if (p && queue == p->tx_queue)
		vcon_tx(p);
	else if (p)
		vcon_rx(p);
}

static void forget_output(struct vcon_port *p)
{
	p->tx_taken = 0;
	p->tx_waits = false;
}

static void on_stop(struct virtio_dev *d)
{
	struct vcon *v = container_of(d, struct vcon, vdev);

	for (uint32_t id = 0; id < VCON_MAX_PORTS; id++) {
		if (vcon_control_is(&v->control, id, VCON_GUEST_OPEN))
			vcon_tell_python(v, id, VCON_GUEST_CLOSED);
		if (v->port[id])
			forget_output(v->port[id]);
	}
	vcon_control_reset(&v->control);
	virtio_stopped(d);
}

static void on_queue_stop(struct virtio_dev *d, uint32_t queue)
{
	struct vcon_port *p = port_of(container_of(d, struct vcon, vdev), queue);

	if (p && queue == p->tx_queue)
		forget_output(p);
	virtio_queue_stopped(d, queue);
}

// Emergency write (5.3.4): one byte at a time, with or without a driver that has set up anything.
static void on_config_written(struct virtio_dev *d, uint32_t offset, uint32_t size)
{
	const uint32_t at = offsetof(struct virtio_console_config, emerg_wr);
	struct vcon *v = container_of(d, struct vcon, vdev);
	uint8_t byte = d->config[at]; // GUEST:

	memset(d->config + at, 0, sizeof(uint32_t));
	if (offset > at || offset + size <= at || !v->emergency)
		return;
	chan_put(v->emergency, &byte, 1);
	count_add(&v->emergency_bytes, 1);
}

static const struct virtio_ops ops = {
	.start = on_start,
	.kick = on_kick,
	.stop = on_stop,
	.queue_stop = on_queue_stop,
	.config_written = on_config_written,
};

// --- Life

struct vcon *vcon_create(const struct vcon_setup *setup)
{
	uint16_t size[VIRTIO_MAX_QUEUES];
	uint32_t ports = setup->max_ports;

	if (!ports || ports > VCON_MAX_PORTS || (ports > 1 && !setup->multiport)) {
		errno = EINVAL;
		return NULL;
	}
	struct vcon *v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	for (uint32_t i = 0; i < ARRAY_LEN(size); i++)
		size[i] = VCON_QUEUE_SIZE;
	size[VCON_CONTROL_RX] = size[VCON_CONTROL_TX] = VCON_CONTROL_SIZE;
	struct virtio_setup virtio = {
		.device_id = VIRTIO_ID_CONSOLE,
		.features = VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE) |
			    VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE),
		.queue_count = 2,
		.queue_size = size,
		.config_len = sizeof(struct virtio_console_config),
		.mem = setup->mem,
		.loop = setup->loop,
		.ops = &ops,
	};
	if (setup->multiport) {
		virtio.features |= VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT);
		virtio.queue_count = 2 * ports + 2;
	}
	int err = virtio_init(&v->vdev, &virtio);
	if (err) {
		free(v);
		errno = -err;
		return NULL;
	}
	v->multiport = setup->multiport;
	v->vdev.config[offsetof(struct virtio_console_config, max_nr_ports)] = (uint8_t)ports;
	memset(v->vdev.config_wmask + offsetof(struct virtio_console_config, emerg_wr), 0xff,
	       sizeof(uint32_t));
	vcon_control_init(&v->control, ports, setup->spec_order);
	return v;
}

void vcon_destroy(struct vcon *v)
{
	if (!v)
		return;
	for (uint32_t id = 0; id < VCON_MAX_PORTS; id++)
		vcon_remove(v, id);
	virtio_deinit(&v->vdev);
	free(v);
}

void vcon_counters(struct vcon *v, struct vcon_counters *ret)
{
	*ret = (struct vcon_counters){
		.control_in = count_get(&v->control_in),
		.control_out = count_get(&v->control_out),
		.control_ignored = count_get(&v->control_ignored),
		.device_failed = count_get(&v->device_failed),
		.port_failed = count_get(&v->port_failed),
		.emergency = count_get(&v->emergency_bytes),
	};
}
