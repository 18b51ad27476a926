// SPDX-License-Identifier: Apache-2.0
#include "gmem.h"

#include <stdlib.h>
#include <unistd.h>

#define COPY_PIECES 8

struct gmem *gmem_create(void)
{
	struct gmem *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	struct gmem_map *empty = calloc(1, sizeof(*empty));
	if (!empty) {
		free(m);
		return NULL;
	}
	pthread_mutex_init(&m->lock, NULL);
	atomic_store(&m->map, empty);
	return m;
}

void gmem_destroy(struct gmem *m)
{
	struct gmem_map *map = atomic_load(&m->map);

	while (map) {
		struct gmem_map *next = map->retired;
		free(map);
		map = next;
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

// The new map keeps the old one on its list: readers hold no reference, and a map is small.
static void publish(struct gmem *m, struct gmem_map *old, struct gmem_map *new)
{
	new->top = new->count ? new->count - 1 : 0;
	new->retired = old;
	atomic_store_explicit(&m->map, new, memory_order_release);
	atomic_fetch_add(&m->generation, 1);
	for (uint32_t i = 0; i < m->watchers; i++) {
		uint64_t one = 1;
		ssize_t n = write(m->watcher[i], &one, sizeof(one));
		(void)n; // full: they know
	}
}

int gmem_watch(struct gmem *m, int eventfd)
{
	LOCKED(&m->lock);
	if (m->watchers == GMEM_MAX_WATCHERS)
		return -ENOSPC;
	m->watcher[m->watchers++] = eventfd;
	return 0;
}

void gmem_unwatch(struct gmem *m, int eventfd)
{
	LOCKED(&m->lock);
	for (uint32_t i = 0; i < m->watchers; i++) {
		if (m->watcher[i] == eventfd) {
			m->watcher[i] = m->watcher[--m->watchers];
			return;
		}
	}
}

int gmem_add(struct gmem *m, uint64_t gpa, uint64_t size, void *hva, uint32_t flags)
{
	if (!size || gpa + size < gpa)
		return -EINVAL;

	LOCKED(&m->lock);
	struct gmem_map *old = atomic_load(&m->map);
	if (old->count == GMEM_MAX_REGIONS)
		return -ENOSPC;

	uint32_t at = 0;
	while (at < old->count && old->region[at].gpa < gpa)
		at++;
	if (at < old->count && gpa + size > old->region[at].gpa)
		return -EEXIST;
	if (at && old->region[at - 1].gpa + old->region[at - 1].size > gpa)
		return -EEXIST;

	struct gmem_map *new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	memcpy(new->region, old->region, at * sizeof(old->region[0]));
	new->region[at] = (struct gmem_region){ gpa, size, hva, flags };
	memcpy(&new->region[at + 1], &old->region[at], (old->count - at) * sizeof(old->region[0]));
	new->count = old->count + 1;
	publish(m, old, new);
	return 0;
}

int gmem_remove(struct gmem *m, uint64_t gpa, uint64_t size)
{
	LOCKED(&m->lock);
	struct gmem_map *old = atomic_load(&m->map);
	uint32_t at = 0;

	while (at < old->count && old->region[at].gpa != gpa)
		at++;
	if (at == old->count || old->region[at].size != size)
		return -ENOENT;

	struct gmem_map *new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	memcpy(new->region, old->region, at * sizeof(old->region[0]));
	memcpy(&new->region[at], &old->region[at + 1],
	       (old->count - at - 1) * sizeof(old->region[0]));
	new->count = old->count - 1;
	publish(m, old, new);
	return 0;
}

// The region that holds gpa, or NULL.
static const struct gmem_region *region_of(const struct gmem_map *map, uint64_t gpa)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (map->region[mid].gpa <= gpa)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	const struct gmem_region *r = &map->region[low - 1];
	return gpa - r->gpa < r->size ? r : NULL;
}

static int denied(struct gmem_dev *dev, int err)
{
	count_add(&dev->denied, 1);
	return err;
}

int gmem_at_searching(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len,
		      enum gmem_dir dir, struct gmem_piece *ret, uint32_t max)
{
	const struct gmem_map *map = atomic_load_explicit(&m->map, memory_order_acquire);
	uint32_t n = 0;

	if (gpa + len < gpa)
		return denied(dev, -EFAULT);
	if (dev->window) {
		int err = dev->window(dev->window_opaque, gpa, len, dir);
		if (err)
			return denied(dev, err);
	}
	while (len) {
		const struct gmem_region *r = region_of(map, gpa);
		if (!r)
			return denied(dev, -EFAULT);
		if (dir & GMEM_WRITE && r->flags & GMEM_READONLY)
			return denied(dev, -EROFS);
		if (n == max)
			return denied(dev, -E2BIG);
		uint64_t offset = gpa - r->gpa;
		uint64_t part = r->size - offset < len ? r->size - offset : len;
		ret[n++] = (struct gmem_piece){ r->hva + offset, part };
		gpa += part;
		len -= part;
	}
	count_add(dir & GMEM_WRITE ? &dev->writes : &dev->reads, 1);
	return (int)n;
}

int gmem_read(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, void *buf, uint64_t len)
{
	struct gmem_piece piece[COPY_PIECES];
	int n = gmem_at(m, dev, gpa, len, GMEM_READ, piece, COPY_PIECES);
	uint8_t *to = buf;

	for (int i = 0; i < n; to += piece[i++].len)
		memcpy(to, piece[i].hva, piece[i].len);
	return n < 0 ? n : 0;
}

int gmem_write(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, const void *buf, uint64_t len)
{
	struct gmem_piece piece[COPY_PIECES];
	int n = gmem_at(m, dev, gpa, len, GMEM_WRITE, piece, COPY_PIECES);
	const uint8_t *from = buf;

	for (int i = 0; i < n; from += piece[i++].len)
		memcpy(piece[i].hva, from, piece[i].len);
	return n < 0 ? n : 0;
}

int gmem_zero(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len)
{
	struct gmem_piece piece[COPY_PIECES];
	int n = gmem_at(m, dev, gpa, len, GMEM_WRITE, piece, COPY_PIECES);

	for (int i = 0; i < n; i++)
		memset(piece[i].hva, 0, piece[i].len);
	return n < 0 ? n : 0;
}

int gmem_pread(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, int fd, uint64_t offset,
	       uint64_t len)
{
	struct gmem_piece piece[COPY_PIECES];
	int n = gmem_at(m, dev, gpa, len, GMEM_WRITE, piece, COPY_PIECES);

	for (int i = 0; i < n; i++) {
		for (uint64_t done = 0; done < piece[i].len;) {
			ssize_t got = pread(fd, (uint8_t *)piece[i].hva + done, piece[i].len - done,
					    (off_t)offset);
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return -errno;
			if (!got)
				return -EIO;
			done += (uint64_t)got;
			offset += (uint64_t)got;
		}
	}
	return n < 0 ? n : 0;
}

void gmem_counts(struct gmem_dev *dev, struct gmem_counts *ret)
{
	*ret = (struct gmem_counts){ count_get(&dev->reads), count_get(&dev->writes),
				     count_get(&dev->denied) };
}
