// SPDX-License-Identifier: Apache-2.0
// Inside the virtio console: shared by vcon.c, vcon_port.c, vcon_data.c and
// vcon_state.c.
#ifndef VMM_VCON_IMPL_H
#define VMM_VCON_IMPL_H

#include <linux/virtio_console.h>

#include "vcon.h"

enum {
	VCON_CONTROL_RX = 2,
	VCON_CONTROL_TX = 3,
	// Chains and bytes of one queue before it is another source's turn.
	VCON_BUDGET_CHAINS = 64,
	VCON_BUDGET_BYTES = 1 << 20,
};

static inline uint32_t vcon_rx_queue(uint32_t id)
{
	return id ? 2 + 2 * id : 0;
}

// Whether the driver negotiated ports.
static inline bool vcon_many(const struct vcon *v)
{
	return virtio_has(&v->vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

// Whether data may flow: the driver knows of the port and is ready for it.
static inline bool vcon_flows(const struct vcon_port *p)
{
	const struct vcon *v = p->v;

	return vcon_many(v) ? v->control.port[p->id].flags & VCON_READY : !p->id;
}

// Whether input may be given to the guest: somebody there has opened the port.
static inline bool vcon_listens(const struct vcon_port *p)
{
	const struct vcon *v = p->v;

	return vcon_flows(p) && virtio_live(&v->vdev) &&
	       (!vcon_many(v) || v->control.port[p->id].flags & VCON_GUEST_OPEN);
}

// Takes the next chain of a queue, its pieces in v->piece. False: none, or the ring is broken and
// the device asks for a reset.
bool vcon_pop(struct vcon *v, uint32_t queue, struct vq_chain *ret);
// The queue is empty: has the driver made more available before it could know that it must notify?
bool vcon_more(struct vcon *v, uint32_t queue);
// Shows the driver what was pushed.
void vcon_flush(struct vcon *v, uint32_t queue);

// vcon.c
void vcon_control_take(struct vcon *v);
void vcon_control_send(struct vcon *v);

// vcon_data.c
// Output as far as the peer takes it.
void vcon_tx(struct vcon_port *p);
// Input as far as the guest takes it.
void vcon_rx(struct vcon_port *p);
extern const struct chan_front vcon_front;

// vcon_port.c
void vcon_tell_python(struct vcon *v, uint32_t id, enum vcon_effect effect);
// What a packet of the driver's means for the port.
void vcon_port_effect(struct vcon *v, uint32_t id, enum vcon_effect effect);
void vcon_port_connected(struct vcon_port *p, bool connected);

#endif
