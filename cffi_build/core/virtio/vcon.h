// SPDX-License-Identifier: Apache-2.0
// A virtio console (virtio 1.2, 5.3): consoles and serial ports between guest and byte channels.
//
// Without VIRTIO_CONSOLE_F_MULTIPORT there is port 0 alone, open from DRIVER_OK on. With it ports
// come and go (vcon_control.h), each with a receive and a transmit queue of its own.
//
// No chain stays with the device between two calls: input is read when there is a buffer for it
// and straight into it, and of output that the peer does not take only a count of bytes is kept,
// while the chain goes back to the ring. So a driver may take its buffers back when a port is
// removed, and a saved state is that count.
//
// What the peer does not take: a serial port leaves it with the guest, whose writers block. A
// console puts it into its channel, whose policy decides; a guest that prints through a console
// waits for each piece with a lock held, so that channel had better drop than block.
//
// All of it belongs to the device's loop: vcon_destroy() to vcon_load() are called there or when
// nobody is inside the loop, unless said otherwise.
#ifndef VMM_VCON_H
#define VMM_VCON_H

#include "chan.h"
#include "vcon_control.h"
#include "virtio.h"

#define VCON_QUEUE_SIZE 128
#define VCON_CONTROL_SIZE 32

// What loop_run() tells Python of: there is news from the driver. `source` is the struct
// virtio_dev. Posted once until vcon_news() has fetched it, so that a driver cannot flood anybody.
#define VCON_EVENT_NEWS (VIRTIO_EVENT_LAST + 16)

struct vcon_setup {
	struct gmem *mem;
	struct loop *loop;
	uint32_t max_ports; // 1 to VCON_MAX_PORTS
	bool multiport; // offered; needed for more than port 0
	bool spec_order; // see struct vcon_control
};

struct vcon_port_counters {
	uint64_t tx_bytes, rx_bytes; // from and to the guest
	uint64_t tx_discarded; // bytes from the guest while no peer was there
	uint64_t tx_blocked, rx_blocked; // times that the peer took no more, the guest gave no room
};

struct vcon_counters {
	uint64_t control_in, control_out; // messages
	uint64_t control_ignored; // packets that are not as they should be
	uint64_t device_failed, port_failed; // the driver said so
	uint64_t emergency; // bytes through the emergency write register
};

// What has happened since vcon_news() was called last; a bit for each port.
struct vcon_news {
	uint64_t opened, closed, failed;
	bool device_failed;
};

struct vcon_port {
	struct vcon *v;
	uint32_t id, rx_queue, tx_queue;
	bool console;
	struct chan *chan;
	uint64_t tx_taken; // bytes of the next chain that the peer has taken already
	bool tx_waits; // for the channel to say that it takes more
	// The chain between room() and filled().
	uint16_t rx_head;
	uint64_t rx_len;
	_Atomic uint64_t tx_bytes, rx_bytes, tx_discarded, tx_blocked, rx_blocked;
};

struct vcon {
	struct virtio_dev vdev;
	bool multiport; // offered
	struct vcon_control control;
	// Changed by the loop with dev.lock held, so that others may look with the lock held.
	struct vcon_port *port[VCON_MAX_PORTS];
	struct chan *emergency; // of the first console
	uint16_t cols, rows; // of the window as it is; control has what the driver knows
	// Guarded by dev.lock.
	struct vcon_news news;
	bool news_posted;
	_Atomic uint64_t control_in, control_out, control_ignored, device_failed, port_failed,
		emergency_bytes;
	struct iovec piece[VQ_MAX_SIZE]; // of the chain at hand
};

// NULL with errno set. Then it is to be given ports; port 0 must be a console if it is there.
struct vcon *vcon_create(const struct vcon_setup *setup);
// Ports are gone (vcon_remove()).
void vcon_destroy(struct vcon *v);

// A port on `chan`, which outlives it and whose front-end it becomes. name: "" or up to
// VCON_NAME_MAX bytes. -EINVAL (number, name; a serial port 0; a second port without
// multiport), -EEXIST, -ENOMEM.
int vcon_add(struct vcon *v, uint32_t id, struct chan *chan, bool console, const char *name);
// Output on its way is thrown away. -ENOENT.
int vcon_remove(struct vcon *v, uint32_t id);
// Another channel for a live port: what the old one did not take goes to the new one. The driver
// hears of it only if one of both is connected and the other is not. -ENOENT.
int vcon_swap(struct vcon *v, uint32_t id, struct chan *chan);
// Whether somebody in the guest has the port open.
bool vcon_guest_open(struct vcon *v, uint32_t id);
// The window of all consoles.
void vcon_resize(struct vcon *v, uint16_t cols, uint16_t rows);

// Any thread.
void vcon_news(struct vcon *v, struct vcon_news *ret);
void vcon_counters(struct vcon *v, struct vcon_counters *ret);
// Zeros for a port that is not there.
void vcon_port_counters(struct vcon *v, uint32_t id, struct vcon_port_counters *ret);

#define VCON_STATE_VERSION 1

// Beside the transport's and the rings' own. Names and numbers of ports are configuration.
struct vcon_state {
	uint32_t version;
	uint8_t ready;
	uint16_t cols, rows;
	uint16_t flags[VCON_MAX_PORTS]; // VCON_HOST_OPEN is not looked at by vcon_load()
	uint8_t tell[VCON_MAX_PORTS], owed[VCON_MAX_PORTS];
	uint64_t tx_taken[VCON_MAX_PORTS]; // bytes of the next chain that the peer has
};

void vcon_save(struct vcon *v, struct vcon_state *ret);
// Into an idle device. The window becomes the saved one; vcon_resize() says if it is another by
// now. -EINVAL: another version, other ports, or impossible values; nothing has changed then.
int vcon_load(struct vcon *v, const struct vcon_state *state);

#endif
