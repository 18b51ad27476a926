// SPDX-License-Identifier: Apache-2.0
// The ports of a virtio console: added, removed, given another channel; what each side is told of
// the other. The loop's thread only, or nobody inside the loop.
#include <stdlib.h>

#include "vcon_impl.h"

// --- News for Python

void vcon_tell_python(struct vcon *v, uint32_t id, enum vcon_effect effect)
{
	uint64_t bit = UINT64_C(1) << (id % 64);
	{
		LOCKED(&v->vdev.dev.lock);
		struct vcon_news *news = &v->news;
		if (effect == VCON_GUEST_OPENED)
			news->opened |= bit;
		else if (effect == VCON_GUEST_CLOSED)
			news->closed |= bit;
		else if (effect == VCON_PORT_FAILED)
			news->failed |= bit;
		else
			news->device_failed = true;
		if (v->news_posted)
			return;
		v->news_posted = true;
	}
	if (loop_post(v->vdev.loop, VCON_EVENT_NEWS, 0, &v->vdev)) {
		LOCKED(&v->vdev.dev.lock);
		v->news_posted = false; // no room: the next news tries again
	}
}

void vcon_news(struct vcon *v, struct vcon_news *ret)
{
	LOCKED(&v->vdev.dev.lock);
	*ret = v->news;
	v->news = (struct vcon_news){ 0 };
	v->news_posted = false;
}

// --- What the driver said

void vcon_port_effect(struct vcon *v, uint32_t id, enum vcon_effect effect)
{
	struct vcon_port *p = id < VCON_MAX_PORTS ? v->port[id] : NULL;

	switch (effect) {
	case VCON_IGNORED:
		count_own(&v->control_ignored, 1);
		break;
	case VCON_DEVICE_FAILED:
		count_own(&v->device_failed, 1);
		vcon_tell_python(v, 0, effect);
		break;
	case VCON_PORT_FAILED:
		count_own(&v->port_failed, 1);
		vcon_tell_python(v, id, effect);
		break;
	case VCON_PORT_READY:
		// The driver may have taken back what it had offered for the port that had the
		// number before.
		vq_look_again(&v->vdev.queue[p->rx_queue].vq);
		vq_look_again(&v->vdev.queue[p->tx_queue].vq);
		vcon_tx(p); // kicks that came too early
		break;
	case VCON_GUEST_OPENED:
		vcon_tell_python(v, id, effect);
		vcon_rx(p);
		break;
	case VCON_GUEST_CLOSED:
		vcon_tell_python(v, id, effect);
		break;
	default:
		break;
	}
}

// --- What the host did

// Output that waited for the peer: on to the one that is there now, or away, because writers must
// not wait for one that is gone.
static void retry_output(struct vcon_port *p)
{
	p->tx_waits = false;
	for (uint32_t i = 0; i <= VCON_QUEUE_SIZE / VCON_BUDGET_CHAINS; i++)
		vcon_tx(p);
}

void vcon_port_connected(struct vcon_port *p, bool connected)
{
	// Output to a console goes wherever its channel sends it, also while nobody looks.
	if (p->console)
		return;
	vcon_control_host(&p->v->control, p->id, connected);
	if (!connected)
		retry_output(p);
	vcon_control_send(p->v);
}

// The console that takes what the driver writes to the emergency register. Context: dev.lock held.
static void choose_emergency(struct vcon *v)
{
	v->emergency = NULL;
	for (uint32_t id = VCON_MAX_PORTS; id--;) {
		if (v->port[id] && v->port[id]->console)
			v->emergency = v->port[id]->chan;
	}
}

static void take_front(struct vcon_port *p)
{
	struct chan_front front = vcon_front;

	front.opaque = p;
	chan_set_front(p->chan, &front); // which says soon whether somebody is there
	if (p->console)
		vcon_control_host(&p->v->control, p->id, true);
}

int vcon_add(struct vcon *v, uint32_t id, struct chan *chan, bool console, const char *name)
{
	if (id >= v->control.max_ports || (!id && !console) || (id && !v->multiport))
		return -EINVAL;
	struct vcon_port *p = calloc(1, sizeof(*p));
	int err = p ? vcon_control_add(&v->control, id, console, name) : -ENOMEM;
	if (err) {
		free(p);
		return err;
	}
	p->v = v;
	p->id = id;
	p->rx_queue = vcon_rx_queue(id);
	p->tx_queue = p->rx_queue + 1;
	p->console = console;
	p->chan = chan;
	{
		LOCKED(&v->vdev.dev.lock);
		v->port[id] = p;
		choose_emergency(v);
	}
	take_front(p);
	vcon_control_send(v);
	return 0;
}

int vcon_remove(struct vcon *v, uint32_t id)
{
	struct vcon_port *p = id < VCON_MAX_PORTS ? v->port[id] : NULL;

	if (!p)
		return -ENOENT;
	chan_set_front(p->chan, NULL);
	vcon_port_connected(p, false);
	{
		LOCKED(&v->vdev.dev.lock);
		v->port[id] = NULL;
		choose_emergency(v);
	}
	vcon_control_remove(&v->control, id);
	free(p);
	vcon_control_send(v);
	return 0;
}

int vcon_swap(struct vcon *v, uint32_t id, struct chan *chan)
{
	struct vcon_port *p = id < VCON_MAX_PORTS ? v->port[id] : NULL;

	if (!p)
		return -ENOENT;
	chan_set_front(p->chan, NULL);
	{
		LOCKED(&v->vdev.dev.lock);
		p->chan = chan;
		choose_emergency(v);
	}
	take_front(p);
	retry_output(p);
	vcon_rx(p);
	vcon_control_send(v);
	return 0;
}

bool vcon_guest_open(struct vcon *v, uint32_t id)
{
	return id < VCON_MAX_PORTS && v->port[id] && vcon_listens(v->port[id]);
}

void vcon_resize(struct vcon *v, uint16_t cols, uint16_t rows)
{
	uint8_t window[] = { (uint8_t)cols, (uint8_t)(cols >> 8), (uint8_t)rows,
			     (uint8_t)(rows >> 8) };

	v->cols = cols;
	v->rows = rows;
	if (v->control.cols == cols && v->control.rows == rows)
		return;
	vcon_control_resize(&v->control, cols, rows);
	virtio_config_changed(&v->vdev, offsetof(struct virtio_console_config, cols), window,
			      sizeof(window));
	vcon_control_send(v);
}

void vcon_port_counters(struct vcon *v, uint32_t id, struct vcon_port_counters *ret)
{
	LOCKED(&v->vdev.dev.lock);
	struct vcon_port *p = id < VCON_MAX_PORTS ? v->port[id] : NULL;

	*ret = (struct vcon_port_counters){ 0 };
	if (!p)
		return;
	*ret = (struct vcon_port_counters){
		.tx_bytes = count_get(&p->tx_bytes),
		.rx_bytes = count_get(&p->rx_bytes),
		.tx_discarded = count_get(&p->tx_discarded),
		.tx_blocked = count_get(&p->tx_blocked),
		.rx_blocked = count_get(&p->rx_blocked),
	};
}
