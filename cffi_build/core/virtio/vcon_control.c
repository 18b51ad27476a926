// SPDX-License-Identifier: Apache-2.0
#include "vcon_control.h"

#include <linux/virtio_console.h>

// Little-endian, whatever the host is: offset 0 is the port, 4 the event, 6 the value.
static uint32_t get(const uint8_t *at, uint32_t bytes)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < bytes; i++)
		value |= (uint32_t)at[i] << (8 * i);
	return value;
}

static void put(uint8_t *at, uint32_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void vcon_control_init(struct vcon_control *c, uint32_t max_ports, bool spec_order)
{
	memset(c, 0, sizeof(*c));
	c->max_ports = max_ports;
	c->spec_order = spec_order;
}

void vcon_control_reset(struct vcon_control *c)
{
	const uint16_t ours = VCON_EXISTS | VCON_CONSOLE | VCON_HOST_OPEN;

	c->ready = false;
	c->dirty = 0;
	c->cursor = 0;
	for (uint32_t id = 0; id < c->max_ports; id++) {
		c->port[id].flags &= ours;
		c->port[id].tell = c->port[id].owed = 0;
	}
}

// --- What is to be told of one port

static bool has(const struct vcon_control_port *p, uint16_t flag)
{
	return p->flags & flag;
}

// The event of the next message about a port, or -1.
static int next_event(const struct vcon_control_port *p)
{
	if (p->tell & VCON_TELL_REMOVE)
		return VIRTIO_CONSOLE_PORT_REMOVE;
	if (p->tell & VCON_TELL_ADD)
		return VIRTIO_CONSOLE_PORT_ADD;
	if (!has(p, VCON_READY))
		return -1;
	if (p->tell & VCON_TELL_CONSOLE)
		return VIRTIO_CONSOLE_CONSOLE_PORT;
	if (p->tell & VCON_TELL_NAME)
		return VIRTIO_CONSOLE_PORT_NAME;
	if (p->tell & VCON_TELL_RESIZE)
		return VIRTIO_CONSOLE_RESIZE;
	bool told = has(p, VCON_TOLD_OPEN), open = has(p, VCON_HOST_OPEN);
	return told != open || has(p, VCON_CLOSED_MEANWHILE) ? VIRTIO_CONSOLE_PORT_OPEN : -1;
}

static void touch(struct vcon_control *c, uint32_t id)
{
	if (c->ready && next_event(&c->port[id]) >= 0)
		c->dirty |= UINT64_C(1) << id;
	else
		c->dirty &= ~(UINT64_C(1) << id);
}

// --- The host's side

int vcon_control_add(struct vcon_control *c, uint32_t id, bool console, const char *name)
{
	size_t len = strlen(name);

	if (id >= c->max_ports || len > VCON_NAME_MAX)
		return -EINVAL;
	struct vcon_control_port *p = &c->port[id];
	if (has(p, VCON_EXISTS))
		return -EEXIST;
	p->flags = (uint16_t)(VCON_EXISTS | (console ? VCON_CONSOLE : 0));
	p->name_len = (uint8_t)len;
	memcpy(p->name, name, len);
	if (c->ready)
		p->tell |= VCON_TELL_ADD; // beside a REMOVE of its predecessor
	touch(c, id);
	return 0;
}

void vcon_control_remove(struct vcon_control *c, uint32_t id)
{
	struct vcon_control_port *p = &c->port[id];

	// A predecessor's REMOVE stays; what the driver was never told of just goes.
	p->tell &= VCON_TELL_REMOVE;
	if (has(p, VCON_ANNOUNCED))
		p->tell |= VCON_TELL_REMOVE;
	if (has(p, VCON_ANNOUNCED) && !has(p, VCON_READY | VCON_FAILED) && p->owed < UINT8_MAX)
		p->owed++;
	p->flags = 0;
	p->name_len = 0;
	touch(c, id);
}

void vcon_control_host(struct vcon_control *c, uint32_t id, bool open)
{
	struct vcon_control_port *p = &c->port[id];

	if (open)
		p->flags |= VCON_HOST_OPEN;
	else
		p->flags &= (uint16_t)~VCON_HOST_OPEN;
	if (!open && has(p, VCON_TOLD_OPEN))
		p->flags |= VCON_CLOSED_MEANWHILE;
	touch(c, id);
}

void vcon_control_resize(struct vcon_control *c, uint16_t cols, uint16_t rows)
{
	c->cols = cols;
	c->rows = rows;
	for (uint32_t id = 0; id < c->max_ports; id++) {
		if (has(&c->port[id], VCON_CONSOLE) && has(&c->port[id], VCON_READY))
			c->port[id].tell |= VCON_TELL_RESIZE;
		touch(c, id);
	}
}

bool vcon_control_set(struct vcon_control *c, uint32_t id, const struct vcon_control_port *state)
{
	const uint16_t fixed = VCON_EXISTS | VCON_CONSOLE;
	struct vcon_control_port *p = &c->port[id];
	uint16_t flags = state->flags;

	// Nothing that the rules of this file could not have led to.
	if (flags & ~VCON_FLAG_BITS || (flags ^ p->flags) & fixed || state->tell & ~VCON_TELL_BITS)
		return false;
	if (!(flags & VCON_EXISTS) && (flags || state->tell & ~VCON_TELL_REMOVE))
		return false;
	if (flags & (VCON_READY | VCON_FAILED) && !(flags & VCON_ANNOUNCED))
		return false;
	if (flags & (VCON_GUEST_OPEN | VCON_TOLD_OPEN) && !(flags & VCON_READY))
		return false;
	if ((flags & VCON_CLOSED_MEANWHILE && !(flags & VCON_TOLD_OPEN)) ||
	    (flags & VCON_READY && flags & VCON_FAILED))
		return false;
	p->flags = (uint16_t)((flags & ~VCON_HOST_OPEN) | (p->flags & VCON_HOST_OPEN));
	p->tell = state->tell;
	p->owed = state->owed;
	touch(c, id);
	return true;
}

// --- From the driver

// GUEST: value.
static enum vcon_effect device_ready(struct vcon_control *c, bool value)
{
	c->ready = value;
	for (uint32_t id = 0; id < c->max_ports; id++) {
		if (value && has(&c->port[id], VCON_EXISTS))
			c->port[id].tell |= VCON_TELL_ADD;
		touch(c, id);
	}
	return value ? VCON_DEVICE_READY : VCON_DEVICE_FAILED;
}

static enum vcon_effect port_ready(struct vcon_control *c, struct vcon_control_port *p, bool value)
{
	if (!value) {
		p->flags &=
			(uint16_t)(VCON_EXISTS | VCON_CONSOLE | VCON_ANNOUNCED | VCON_HOST_OPEN);
		p->flags |= VCON_FAILED;
		return VCON_PORT_FAILED;
	}
	p->flags &= (uint16_t)~(VCON_FAILED | VCON_TOLD_OPEN | VCON_CLOSED_MEANWHILE);
	p->flags |= VCON_READY;
	if (has(p, VCON_CONSOLE))
		p->tell |= VCON_TELL_CONSOLE;
	if (has(p, VCON_CONSOLE) && c->cols && c->rows)
		p->tell |= VCON_TELL_RESIZE;
	if (p->name_len)
		p->tell |= VCON_TELL_NAME;
	return VCON_PORT_READY;
}

static enum vcon_effect port_open(struct vcon_control_port *p, bool value)
{
	if (!has(p, VCON_READY))
		return VCON_IGNORED; // a late word about what had the number before
	if (has(p, VCON_GUEST_OPEN) == value)
		return VCON_NOTHING_NEW;
	p->flags ^= VCON_GUEST_OPEN;
	return value ? VCON_GUEST_OPENED : VCON_GUEST_CLOSED;
}

enum vcon_effect vcon_control_receive(struct vcon_control *c, const uint8_t *packet, size_t len,
				      uint32_t *ret_id)
{
	enum vcon_effect effect;

	if (len < VCON_HEADER)
		return VCON_IGNORED;
	// GUEST: port, event and value
	uint32_t id = get(packet, 4), event = get(packet + 4, 2);
	bool value = get(packet + 6, 2);
	*ret_id = id;
	if (event == VIRTIO_CONSOLE_DEVICE_READY)
		return device_ready(c, value);
	if (!c->ready || id >= c->max_ports)
		return VCON_IGNORED;
	if (event == VIRTIO_CONSOLE_PORT_READY && c->port[id].owed) {
		c->port[id].owed--;
		return VCON_IGNORED;
	}
	// Until its ADD is out, whatever is said of a port is about another one.
	if (!vcon_control_is(c, id, VCON_EXISTS | VCON_ANNOUNCED))
		return VCON_IGNORED;
	if (event == VIRTIO_CONSOLE_PORT_READY)
		effect = port_ready(c, &c->port[id], value);
	else if (event == VIRTIO_CONSOLE_PORT_OPEN)
		effect = port_open(&c->port[id], value);
	else
		return VCON_IGNORED;
	touch(c, id);
	return effect;
}

// --- To the driver

// Notes that `event` is told and returns its value.
static uint32_t tell(struct vcon_control_port *p, int event)
{
	switch (event) {
	case VIRTIO_CONSOLE_PORT_REMOVE:
		p->tell &= (uint8_t)~VCON_TELL_REMOVE;
		return 1;
	case VIRTIO_CONSOLE_PORT_ADD:
		p->tell &= (uint8_t)~VCON_TELL_ADD;
		p->flags |= VCON_ANNOUNCED;
		return 1;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		p->tell &= (uint8_t)~VCON_TELL_CONSOLE;
		return 1;
	case VIRTIO_CONSOLE_PORT_NAME:
		p->tell &= (uint8_t)~VCON_TELL_NAME;
		return 1;
	case VIRTIO_CONSOLE_RESIZE:
		p->tell &= (uint8_t)~VCON_TELL_RESIZE;
		return 1;
	default:
		// An end that was closed is told as such, also when another one is there now.
		p->flags &= (uint16_t)~VCON_CLOSED_MEANWHILE;
		p->flags ^= VCON_TOLD_OPEN;
		return has(p, VCON_TOLD_OPEN);
	}
}

size_t vcon_control_next(struct vcon_control *c, uint8_t *ret)
{
	if (!vcon_control_waiting(c))
		return 0;
	// Round and round, so that no port keeps the others from being heard of.
	uint64_t later = c->dirty & ~((UINT64_C(1) << c->cursor) - 1);
	uint32_t id = (uint32_t)__builtin_ctzll(later ? later : c->dirty);
	struct vcon_control_port *p = &c->port[id];
	int event = next_event(p);
	size_t len = VCON_HEADER;

	put(ret, id, 4);
	put(ret + 4, (uint32_t)event, 2);
	put(ret + 6, tell(p, event), 2);
	if (event == VIRTIO_CONSOLE_PORT_NAME) {
		memcpy(ret + len, p->name, p->name_len);
		len += p->name_len;
	} else if (event == VIRTIO_CONSOLE_RESIZE) {
		put(ret + len, c->spec_order ? c->cols : c->rows, 2);
		put(ret + len + 2, c->spec_order ? c->rows : c->cols, 2);
		len += 4;
	}
	c->cursor = (id + 1) % VCON_MAX_PORTS;
	touch(c, id);
	return len;
}
