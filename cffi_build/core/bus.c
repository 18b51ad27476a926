// SPDX-License-Identifier: Apache-2.0
#include "bus.h"

#include <stdlib.h>

struct bus *bus_create(uint64_t limit)
{
	struct bus *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	struct bus_map *empty = calloc(1, sizeof(*empty));
	if (!empty) {
		free(b);
		return NULL;
	}
	pthread_mutex_init(&b->lock, NULL);
	empty->serial = 1; // 0 is a reader that has hit nothing
	atomic_store(&b->map, empty);
	b->limit = limit;
	return b;
}

static void free_chain(struct bus_map *map)
{
	while (map) {
		struct bus_map *next = map->retired;
		free(map);
		map = next;
	}
}

void bus_destroy(struct bus *b)
{
	free_chain(b->retired);
	free(atomic_load(&b->map));
	pthread_mutex_destroy(&b->lock);
	free(b);
}

int bus_add_reader(struct bus *b, struct bus_reader *r)
{
	LOCKED(&b->lock);
	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < BUS_MAX_READERS; i++) {
		if (!atomic_load(&b->reader[i])) {
			atomic_store(&b->reader[i], r);
			return 0;
		}
	}
	return -ENOSPC;
}

void bus_remove_reader(struct bus *b, struct bus_reader *r)
{
	LOCKED(&b->lock);
	for (uint32_t i = 0; i < BUS_MAX_READERS; i++)
		if (atomic_load(&b->reader[i]) == r)
			atomic_store(&b->reader[i], NULL);
}

// Context: b->lock held.
static bool in_use(struct bus *b, const struct bus_map *map)
{
	for (uint32_t i = 0; i < BUS_MAX_READERS; i++) {
		struct bus_reader *r = atomic_load(&b->reader[i]);
		if (r && atomic_load(&r->using) == map)
			return true;
	}
	return false;
}

// Frees retired maps that nobody uses. Context: b->lock held.
static void reclaim(struct bus *b)
{
	for (struct bus_map **at = &b->retired; *at;) {
		struct bus_map *map = *at;
		if (in_use(b, map)) {
			at = &map->retired;
			continue;
		}
		*at = map->retired;
		free(map);
	}
}

bool bus_quiesced(struct bus *b)
{
	LOCKED(&b->lock);
	reclaim(b);
	return !b->retired;
}

// Makes `new` the map. Context: b->lock held. The exchange is sequentially consistent, as is a
// reader's store to its hazard slot: either the reader sees the new map or we see its slot.
static void publish(struct bus *b, struct bus_map *new)
{
	new->serial = atomic_load(&b->map)->serial + 1;
	struct bus_map *old = atomic_exchange(&b->map, new);

	old->retired = b->retired;
	b->retired = old;
	reclaim(b);
}

static struct bus_map *map_alloc(uint32_t count)
{
	struct bus_map *map = calloc(1, sizeof(*map) + count * sizeof(map->entry[0]));

	if (map)
		map->count = count;
	return map;
}

int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct dev *d, uint32_t region)
{
	if (!len || base + len < base || base + len > b->limit)
		return -EINVAL;

	LOCKED(&b->lock);
	struct bus_map *old = atomic_load(&b->map);
	if (old->count == BUS_MAX_ENTRIES)
		return -ENOSPC;

	uint32_t at = 0;
	while (at < old->count && old->entry[at].base < base)
		at++;
	if (at < old->count && base + len > old->entry[at].base)
		return -EEXIST;
	if (at && old->entry[at - 1].base + old->entry[at - 1].len > base)
		return -EEXIST;

	struct bus_map *new = map_alloc(old->count + 1);
	if (!new)
		return -ENOMEM;
	memcpy(new->entry, old->entry, at * sizeof(old->entry[0]));
	new->entry[at] = (struct bus_entry){ base, len, d, region };
	memcpy(&new->entry[at + 1], &old->entry[at], (old->count - at) * sizeof(old->entry[0]));
	publish(b, new);
	return 0;
}

int bus_release(struct bus *b, uint64_t base, uint64_t len)
{
	LOCKED(&b->lock);
	struct bus_map *old = atomic_load(&b->map);
	uint32_t at = 0;

	while (at < old->count && old->entry[at].base != base)
		at++;
	if (at == old->count || old->entry[at].len != len)
		return -ENOENT;

	struct bus_map *new = map_alloc(old->count - 1);
	if (!new)
		return -ENOMEM;
	memcpy(new->entry, old->entry, at * sizeof(old->entry[0]));
	memcpy(&new->entry[at], &old->entry[at + 1], (old->count - at - 1) * sizeof(old->entry[0]));
	publish(b, new);
	return 0;
}

// The entry that holds all of [addr, addr + size), or NULL.
static const struct bus_entry *lookup(struct bus_reader *r, const struct bus_map *map,
				      uint64_t addr, uint32_t size)
{
	uint64_t offset = addr - r->last.base;

	if (likely(r->last_serial == map->serial && offset < r->last.len &&
		   r->last.len - offset >= size))
		return &r->last;

	uint32_t low = 0, high = map->count;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (map->entry[mid].base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	const struct bus_entry *e = &map->entry[low - 1];
	if (addr - e->base >= e->len || e->len - (addr - e->base) < size)
		return NULL;
	r->last = *e;
	r->last_serial = map->serial;
	return &r->last;
}

// Enters an access: publishes the map in use. Loops only if a writer swapped it in between.
static const struct bus_map *enter(struct bus *b, struct bus_reader *r)
{
	struct bus_map *map = atomic_load_explicit(&b->map, memory_order_relaxed);

	for (;;) {
		atomic_store(&r->using, map);
		struct bus_map *now = atomic_load(&b->map);
		if (likely(now == map))
			break;
		map = now;
	}
	return map;
}

static void leave(struct bus_reader *r)
{
	atomic_store_explicit(&r->using, NULL, memory_order_release);
}

// One access to one device. Only an upcall runs without the device's lock.
static int dev_read(const struct bus_entry *e, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct dev *d = e->dev;

	if (d->flags & DEV_UPCALL)
		return d->ops->read(d, e->region, offset, size, ret);
	pthread_mutex_lock(&d->lock);
	int err = d->ops->read(d, e->region, offset, size, ret);
	pthread_mutex_unlock(&d->lock);
	return err;
}

static int dev_write(const struct bus_entry *e, uint64_t offset, uint32_t size, uint64_t value)
{
	struct dev *d = e->dev;

	if (d->flags & DEV_UPCALL)
		return d->ops->write(d, e->region, offset, size, value);
	pthread_mutex_lock(&d->lock);
	int err = d->ops->write(d, e->region, offset, size, value);
	pthread_mutex_unlock(&d->lock);
	return err;
}

static uint64_t ones(uint32_t size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << (8 * size)) - 1;
}

// A read that no single entry holds: every byte on its own, unclaimed ones give 0xff. The first
// non-zero answer of a device is the answer.
static int read_bytes(struct bus_reader *r, const struct bus_map *map, uint64_t addr, uint32_t size,
		      uint64_t *ret, uint32_t *claimed)
{
	int result = 0;

	*ret = 0;
	for (uint32_t i = 0; i < size; i++) {
		uint64_t byte = UINT64_MAX;
		const struct bus_entry *e = lookup(r, map, addr + i, 1);
		if (e) {
			int err = dev_read(e, addr + i - e->base, 1, &byte);
			result = result ? result : err;
			++*claimed;
		}
		*ret |= (byte & 0xff) << (8 * i);
	}
	return result;
}

static int write_bytes(struct bus_reader *r, const struct bus_map *map, uint64_t addr,
		       uint32_t size, uint64_t value, uint32_t *claimed)
{
	int result = 0;

	for (uint32_t i = 0; i < size; i++) {
		const struct bus_entry *e = lookup(r, map, addr + i, 1);
		if (!e)
			continue;
		int err = dev_write(e, addr + i - e->base, 1, value >> (8 * i) & 0xff);
		result = result ? result : err;
		++*claimed;
	}
	return result;
}

int bus_read(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t *ret)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = lookup(r, map, addr, size);
	uint32_t claimed = 0;
	int err;

	*ret = UINT64_MAX;
	if (likely(e && (size == 1 || !(e->dev->flags & DEV_BYTES)))) {
		err = dev_read(e, addr - e->base, size, ret);
		claimed = 1;
	} else {
		err = read_bytes(r, map, addr, size, ret, &claimed);
	}
	leave(r);
	if (!claimed)
		count_add(&b->unclaimed_reads, 1);
	*ret &= ones(size);
	return err;
}

int bus_write(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t value)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = lookup(r, map, addr, size);
	uint32_t claimed = 0;
	int err;

	value &= ones(size);
	if (likely(e && (size == 1 || !(e->dev->flags & DEV_BYTES)))) {
		err = dev_write(e, addr - e->base, size, value);
		claimed = 1;
	} else {
		err = write_bytes(r, map, addr, size, value, &claimed);
	}
	leave(r);
	if (!claimed)
		count_add(&b->unclaimed_writes, 1);
	return err;
}

bool bus_write_burst(struct bus *b, struct bus_reader *r, uint64_t addr, const uint8_t *bytes,
		     uint32_t count)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = lookup(r, map, addr, 1);

	if (likely(e && e->dev->ops->write_burst)) {
		pthread_mutex_lock(&e->dev->lock);
		e->dev->ops->write_burst(e->dev, e->region, addr - e->base, bytes, count);
		pthread_mutex_unlock(&e->dev->lock);
		leave(r);
		return true;
	}
	leave(r);
	for (uint32_t i = 0; i < count; i++)
		bus_write(b, r, addr, 1, bytes[i]);
	return false;
}

void bus_settle(struct bus *b, struct bus_reader *r, uint64_t addr)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = lookup(r, map, addr, 1);

	if (likely(e && e->dev->ops->settle)) {
		pthread_mutex_lock(&e->dev->lock);
		e->dev->ops->settle(e->dev);
		pthread_mutex_unlock(&e->dev->lock);
	}
	leave(r);
}

void bus_counts(struct bus *b, struct bus_counts *ret)
{
	*ret = (struct bus_counts){ count_get(&b->unclaimed_reads),
				    count_get(&b->unclaimed_writes) };
}
