// SPDX-License-Identifier: Apache-2.0
#include "bus.h"

#include <stdlib.h>

static int nobody_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t *ret)
{
	(void)region, (void)offset, (void)size, (void)ret;
	count_add(&container_of(d, struct bus, nobody)->unclaimed_reads, 1);
	return 0;
}

static int nobody_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			uint64_t value)
{
	(void)region, (void)offset, (void)size, (void)value;
	count_add(&container_of(d, struct bus, nobody)->unclaimed_writes, 1);
	return 0;
}

static const struct dev_ops nobody_ops = { .read = nobody_read, .write = nobody_write };

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
	dev_init(&b->nobody, &nobody_ops, 0);
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

// Remembers for the next access what lies between entry `above` - 1 and entry `above`: nobody.
static const struct bus_entry *remember_gap(struct bus *b, struct bus_reader *r,
					    const struct bus_map *map, uint32_t above)
{
	const struct bus_entry *next = &map->entry[above], *previous = next - 1;
	uint64_t start = above ? previous->base + previous->len : 0;
	uint64_t end = above < map->count ? next->base : UINT64_MAX;

	r->last = (struct bus_entry){ start, end - start, &b->nobody, 0 };
	return &r->last;
}

// The entry that holds all of [addr, addr + size), b->nobody's if no other holds a part; else NULL.
static const struct bus_entry *search(struct bus *b, struct bus_reader *r,
				      const struct bus_map *map, uint64_t addr, uint32_t size)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (map->entry[mid].base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	const struct bus_entry *e = &map->entry[low - 1];
	if (low && addr - e->base < e->len)
		r->last = *e;
	else
		remember_gap(b, r, map, low);
	// An upcall, which takes no lock, is never a hit.
	r->last_serial = r->last.dev->flags & DEV_UPCALL ? 0 : map->serial;
	return r->last.len - (addr - r->last.base) >= size ? &r->last : NULL;
}

// A writer swapped the map while it was being published: again until it holds still.
static COLD const struct bus_map *enter_again(struct bus *b, struct bus_reader *r)
{
	for (;;) {
		struct bus_map *map = atomic_load(&b->map);
		atomic_store(&r->using, map);
		if (atomic_load(&b->map) == map)
			return map;
	}
}

// Enters an access: publishes the map in use.
HOT const struct bus_map *enter(struct bus *b, struct bus_reader *r)
{
	struct bus_map *map = atomic_load_explicit(&b->map, memory_order_relaxed);

	atomic_store(&r->using, map);
	return likely(atomic_load(&b->map) == map) ? map : enter_again(b, r);
}

// One access to one device. Only an upcall runs without the device's lock.
static int dev_read(const struct bus_entry *e, uint64_t addr, uint32_t size, uint64_t *ret)
{
	if (e->dev->flags & DEV_UPCALL)
		return e->dev->ops->read(e->dev, e->region, addr - e->base, size, ret);
	return bus_locked_read(e, addr, size, ret);
}

static int dev_write(const struct bus_entry *e, uint64_t addr, uint32_t size, uint64_t value)
{
	if (e->dev->flags & DEV_UPCALL)
		return e->dev->ops->write(e->dev, e->region, addr - e->base, size, value);
	return bus_locked_write(e, addr, size, value);
}

// A read with a search. What no single entry holds is read byte by byte, unclaimed ones give 0xff;
// the first non-zero answer of a device is the answer.
int bus_read_searching(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size,
		       uint64_t *ret)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = search(b, r, map, addr, size);
	int result = 0;

	if (e && (size == 1 || !(e->dev->flags & DEV_BYTES)))
		return dev_read(e, addr, size, ret);
	*ret = 0;
	for (uint32_t i = 0; i < size; i++) {
		uint64_t byte = UINT64_MAX;
		e = search(b, r, map, addr + i, 1);
		if (e->dev != &b->nobody) {
			int err = dev_read(e, addr + i, 1, &byte);
			result = result ? result : err;
		}
		*ret |= (byte & 0xff) << (8 * i);
	}
	return result;
}

int bus_write_searching(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size,
			uint64_t value)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = search(b, r, map, addr, size);
	int result = 0;

	if (e && (size == 1 || !(e->dev->flags & DEV_BYTES)))
		return dev_write(e, addr, size, value);
	for (uint32_t i = 0; i < size; i++) {
		e = search(b, r, map, addr + i, 1);
		if (e->dev == &b->nobody)
			continue;
		int err = dev_write(e, addr + i, 1, value >> (8 * i) & 0xff);
		result = result ? result : err;
	}
	return result;
}

bool bus_write_burst(struct bus *b, struct bus_reader *r, uint64_t addr, const uint8_t *bytes,
		     uint32_t count)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = search(b, r, map, addr, 1);

	if (likely(e->dev->ops->write_burst)) {
		lock_take(&e->dev->lock);
		e->dev->ops->write_burst(e->dev, e->region, addr - e->base, bytes, count);
		lock_drop(&e->dev->lock);
		bus_leave(r);
		return true;
	}
	bus_leave(r);
	for (uint32_t i = 0; i < count; i++)
		bus_write(b, r, addr, 1, bytes[i]);
	return false;
}

void bus_settle(struct bus *b, struct bus_reader *r, uint64_t addr)
{
	const struct bus_map *map = enter(b, r);
	const struct bus_entry *e = search(b, r, map, addr, 1);

	if (likely(e->dev->ops->settle)) {
		lock_take(&e->dev->lock);
		e->dev->ops->settle(e->dev);
		lock_drop(&e->dev->lock);
	}
	bus_leave(r);
}

void bus_counts(struct bus *b, struct bus_counts *ret)
{
	*ret = (struct bus_counts){ count_get(&b->unclaimed_reads),
				    count_get(&b->unclaimed_writes) };
}
