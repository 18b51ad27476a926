// SPDX-License-Identifier: Apache-2.0
// What driver and device of a virtio console tell each other over the control queues (virtio 1.2,
// 5.3.6.2), without the queues: a state machine that takes packets and says which to send next.
//
// What the driver has yet to hear of a port is a set of bits, so there is no queue that could
// overflow: however long the driver gives no buffers, nothing is dropped, and a port that came and
// went meanwhile leaves no trace. Within a port messages keep the order that all Linux drivers work
// with: REMOVE (of what had the number before), ADD; then, once the driver is ready for the port,
// CONSOLE_PORT, NAME, RESIZE, OPEN.
#ifndef VMM_VCON_CONTROL_H
#define VMM_VCON_CONTROL_H

#include "base.h"

#define VCON_MAX_PORTS 63 // two queues each and two for control are VIRTIO_MAX_QUEUES
#define VCON_NAME_MAX 255 // bytes of a port's name
#define VCON_HEADER 8 // bytes of struct virtio_console_control
#define VCON_MESSAGE_MAX (VCON_HEADER + VCON_NAME_MAX)

// What a packet from the driver has changed.
enum vcon_effect {
	VCON_IGNORED, // nothing: too short, unknown, or out of place
	VCON_DEVICE_READY,
	VCON_DEVICE_FAILED, // DEVICE_READY(0)
	VCON_PORT_READY, // data may flow from now on
	VCON_PORT_FAILED, // PORT_READY(0)
	VCON_GUEST_OPENED,
	VCON_GUEST_CLOSED,
	VCON_NOTHING_NEW, // a well-formed repetition
};

enum {
	// What the driver has yet to be told, in this order.
	VCON_TELL_REMOVE = 1,
	VCON_TELL_ADD = 2,
	VCON_TELL_CONSOLE = 4,
	VCON_TELL_NAME = 8,
	VCON_TELL_RESIZE = 16,
	VCON_TELL_BITS = 31,
	// What is known of a port.
	VCON_EXISTS = 1,
	VCON_CONSOLE = 2,
	VCON_ANNOUNCED = 4, // the driver was told of it
	VCON_READY = 8, // ... and is ready for it
	VCON_FAILED = 16, // ... or could not add it
	VCON_GUEST_OPEN = 32,
	VCON_HOST_OPEN = 64,
	VCON_TOLD_OPEN = 128, // what the driver believes of HOST_OPEN
	VCON_CLOSED_MEANWHILE = 256, // the host's end was closed since that was told
	VCON_FLAG_BITS = 511,
};

struct vcon_control_port {
	uint16_t flags;
	uint8_t tell;
	// Answers to an ADD that are yet to come although the port has gone: until then what the
	// driver says is about that one.
	uint8_t owed;
	uint8_t name_len;
	char name[VCON_NAME_MAX];
};

struct vcon_control {
	uint32_t max_ports;
	bool ready; // DEVICE_READY(1) has come
	bool spec_order; // RESIZE has columns first; else rows first, as Linux reads it
	uint16_t cols, rows; // 0, 0: unknown
	uint32_t cursor; // the port to speak of next
	uint64_t dirty; // ports with something to tell
	struct vcon_control_port port[VCON_MAX_PORTS];
};

void vcon_control_init(struct vcon_control *c, uint32_t max_ports, bool spec_order);
// The driver starts over: it knows of no port and has opened none.
void vcon_control_reset(struct vcon_control *c);
// -EINVAL (number or name out of range), -EEXIST.
int vcon_control_add(struct vcon_control *c, uint32_t id, bool console, const char *name);
void vcon_control_remove(struct vcon_control *c, uint32_t id);
// The host's end of a port was opened or closed.
void vcon_control_host(struct vcon_control *c, uint32_t id, bool open);
void vcon_control_resize(struct vcon_control *c, uint16_t cols, uint16_t rows);
// What a saved state says of a port: flags but VCON_HOST_OPEN, tell and owed. False, with nothing
// changed: that cannot be.
bool vcon_control_set(struct vcon_control *c, uint32_t id, const struct vcon_control_port *state);
// A packet from the driver. GUEST: packet and len. *ret_id: the port it is about, if any.
enum vcon_effect vcon_control_receive(struct vcon_control *c, const uint8_t *packet, size_t len,
				      uint32_t *ret_id);
// The next message to the driver, VCON_MESSAGE_MAX bytes at most; its length, 0 if there is none.
size_t vcon_control_next(struct vcon_control *c, uint8_t *ret);
// Whether there is one.
static inline bool vcon_control_waiting(const struct vcon_control *c)
{
	return c->ready && c->dirty;
}

static inline bool vcon_control_is(const struct vcon_control *c, uint32_t id, uint16_t flags)
{
	return id < c->max_ports && (c->port[id].flags & flags) == flags;
}

#endif
