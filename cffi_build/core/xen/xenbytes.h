// SPDX-License-Identifier: Apache-2.0
// Byte rings in a page that a Xen guest shares with a back-end: xenstore's and the console's
// (xen/include/public/io/{xs_wire,console}.h). A producer and a consumer index run freely; our own
// is kept here too, so that what a guest writes over it moves nothing.
#ifndef VMM_XENBYTES_H
#define VMM_XENBYTES_H

#include <unistd.h>

#include "gmem.h"

// One direction of a page that has been looked up.
struct xenbytes {
	uint8_t *data;
	uint32_t size; // a power of two
	uint32_t *cons, *prod;
};

static inline struct xenbytes xenbytes_at(uint8_t *page, uint32_t data, uint32_t size,
					  uint32_t cons, uint32_t prod)
{
	return (struct xenbytes){ page + data, size, (uint32_t *)(page + cons),
				  (uint32_t *)(page + prod) };
}

// How many bytes the guest has put beyond our index `mine` (acquire: they are there), -EIO if that
// is more than the ring has.
static inline int xenbytes_filled(const struct xenbytes *r, uint32_t mine)
{
	// GUEST:
	uint32_t n = __atomic_load_n(r->prod, __ATOMIC_ACQUIRE) - mine;

	return n > r->size ? -EIO : (int)n;
}

// How many bytes may be put at our index `mine`; -EIO as above.
static inline int xenbytes_room(const struct xenbytes *r, uint32_t mine)
{
	// GUEST:
	uint32_t n = mine - __atomic_load_n(r->cons, __ATOMIC_ACQUIRE);

	return n > r->size ? -EIO : (int)(r->size - n);
}

// Copies `len` bytes, no more than there are, from index `from`.
static inline void xenbytes_copy_out(const struct xenbytes *r, uint32_t from, uint8_t *ret,
				     uint32_t len)
{
	uint32_t at = from & (r->size - 1), first = r->size - at < len ? r->size - at : len;

	memcpy(ret, r->data + at, first);
	memcpy(ret + first, r->data, len - first);
}

static inline void xenbytes_copy_in(const struct xenbytes *r, uint32_t to, const uint8_t *buf,
				    uint32_t len)
{
	uint32_t at = to & (r->size - 1), first = r->size - at < len ? r->size - at : len;

	memcpy(r->data + at, buf, first);
	memcpy(r->data, buf + first, len - first);
}

// Shows an index to the guest (release), before the other one is looked at again: a guest that
// looks at ours before it sleeps must see it, or we see what it did (sequentially consistent).
static inline void xenbytes_show(uint32_t *index, uint32_t value)
{
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Adds one to an eventfd: a full counter wakes as well.
static inline void xenbytes_tell(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

static inline void xenbytes_drain(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n;
}

#endif
