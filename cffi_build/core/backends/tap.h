// SPDX-License-Identifier: Apache-2.0
// One queue of a tap, or a datagram socket in its place: packets with a virtio_net header before
// them. What every kind of network card does with it.
#ifndef VMM_TAP_H
#define VMM_TAP_H

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base.h"

// One packet's bytes, 0 or -errno.
static inline ssize_t tap_read(int fd, const struct iovec *piece, uint32_t count)
{
	ssize_t len;

	do {
		len = readv(fd, piece, (int)count);
	} while (len < 0 && errno == EINTR);
	return len < 0 ? -errno : len;
}

static inline ssize_t tap_write(int fd, const struct iovec *piece, uint32_t count)
{
	ssize_t len;

	do {
		len = writev(fd, piece, (int)count);
	} while (len < 0 && errno == EINTR);
	return len < 0 ? -errno : len;
}

// Whether nothing more will come after this result of tap_read(), which was no packet. A socket's
// peer chooses: an empty datagram and a refused one are not the end.
static inline bool tap_ended(int fd, ssize_t len)
{
	int type = 0;
	socklen_t size = sizeof(type);

	if (len)
		return len != -ECONNREFUSED;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_DGRAM;
}

// Whether an attached queue's tap was taken away.
static inline bool tap_gone(int fd)
{
	struct ifreq request;

	return ioctl(fd, TUNGETIFF, &request) && errno == EBADFD;
}

#endif
