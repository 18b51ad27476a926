// SPDX-License-Identifier: Apache-2.0
// Guest memory: gmem_at() is the only place where a guest-physical address becomes a pointer.
#ifndef VMM_GMEM_H
#define VMM_GMEM_H

#include "base.h"

#define GMEM_MAX_REGIONS 64
#define GMEM_MAX_WATCHERS 64

enum gmem_dir {
	GMEM_READ = 1, // the device reads guest memory
	GMEM_WRITE = 2,
};

enum {
	GMEM_READONLY = 1, // a ROM: GMEM_WRITE fails with -EROFS
};

struct gmem_region {
	uint64_t gpa, size;
	uint8_t *hva;
	uint32_t flags;
};

// Immutable once published; replaced whole.
struct gmem_map {
	uint32_t count;
	uint32_t top; // the highest region: RAM above 4 GiB where there is some
	struct gmem_region region[GMEM_MAX_REGIONS]; // sorted, disjoint; neighbours may adjoin
	struct gmem_map *retired; // the map before this one; all are freed with the gmem
};

struct gmem {
	pthread_mutex_t lock; // writers only
	_Atomic(struct gmem_map *) map;
	_Atomic uint64_t generation; // grows with every change; cached translations carry it
	uint32_t watchers;
	int watcher[GMEM_MAX_WATCHERS]; // eventfds
};

// Who accesses: every device that touches guest memory owns one.
struct gmem_dev {
	_Atomic uint64_t reads, writes; // calls
	_Atomic uint64_t denied; // refused for any reason
	// NULL, or asked first: a DMA window, a virtual IOMMU. 0 lets the access pass, else -errno.
	int (*window)(void *opaque, uint64_t gpa, uint64_t len, enum gmem_dir dir);
	void *window_opaque;
};

// A struct iovec by another name: an array of either may be filled as the other.
struct gmem_piece {
	void *hva;
	uint64_t len;
} __attribute__((may_alias));

struct gmem_counts {
	uint64_t reads, writes, denied;
};

struct gmem *gmem_create(void);
void gmem_destroy(struct gmem *m);
// -EINVAL (size 0, wraps), -EEXIST (overlap), -ENOSPC (too many regions), -ENOMEM.
int gmem_add(struct gmem *m, uint64_t gpa, uint64_t size, void *hva, uint32_t flags);
// -ENOENT unless exactly this region exists. The caller has made sure that nobody uses a pointer
// into it; those who watch hear of it only afterwards, so vhost has to have been stopped before.
int gmem_remove(struct gmem *m, uint64_t gpa, uint64_t size);
// Writes to this eventfd after every change, for those who gave the map to somebody else. -ENOSPC.
int gmem_watch(struct gmem *m, int eventfd);
void gmem_unwatch(struct gmem *m, int eventfd);
static inline uint64_t gmem_generation(struct gmem *m)
{
	return atomic_load_explicit(&m->generation, memory_order_acquire);
}

int gmem_at_searching(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len,
		      enum gmem_dir dir, struct gmem_piece *ret, uint32_t max);

// gmem_at() where it is simplest: one piece in the lowest or the highest region, asked by a device
// without a window. False: that remains to be found out.
HOT bool gmem_at_once(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len,
		      enum gmem_dir dir, struct gmem_piece *ret)
{
	const struct gmem_map *map = atomic_load_explicit(&m->map, memory_order_acquire);
	const struct gmem_region *r = &map->region[map->top];

	if (gpa < r->gpa)
		r = &map->region[0];
	uint64_t offset = gpa - r->gpa;
	if (unlikely(offset >= r->size || len - 1 >= r->size - offset || dev->window ||
		     (dir & GMEM_WRITE && r->flags & GMEM_READONLY)))
		return false;
	*ret = (struct gmem_piece){ r->hva + offset, len };
	count_add(dir & GMEM_WRITE ? &dev->writes : &dev->reads, 1);
	return true;
}

// Translates [gpa, gpa + len) for `dev` into at most `max` pieces. Adjoining regions give one piece
// each. Returns the number of pieces (0 for len 0), -EFAULT (not all of it is memory, or it wraps),
// -EROFS, -E2BIG (more than max pieces), or what the device's window answered. GUEST: gpa and len
// are hostile.
HOT int gmem_at(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len, enum gmem_dir dir,
		struct gmem_piece *ret, uint32_t max)
{
	if (likely(max) && gmem_at_once(m, dev, gpa, len, dir, ret))
		return 1;
	return gmem_at_searching(m, dev, gpa, len, dir, ret, max);
}

// Whole-range copies over gmem_at(): 0 or its -errno; nothing is moved unless all of it is memory.
int gmem_read(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, void *buf, uint64_t len);
int gmem_write(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, const void *buf, uint64_t len);
int gmem_zero(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len);
// pread() straight into guest memory; -EIO when the file ends early.
int gmem_pread(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, int fd, uint64_t offset,
	       uint64_t len);
void gmem_counts(struct gmem_dev *dev, struct gmem_counts *ret);

#endif
