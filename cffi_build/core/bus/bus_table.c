// SPDX-License-Identifier: Apache-2.0
// The table of a bus: claims, releases, moves, and when tables that accesses still use may go.
#define _GNU_SOURCE
#include "bus.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	empty->serial = 3; // 0 is a reader that has hit nothing, or is outside an access
	atomic_store(&b->map, empty);
	atomic_store(&b->serial, empty->serial);
	dev_init(&b->nobody, &nobody_ops, 0);
	b->limit = limit;
	return b;
}

void bus_destroy(struct bus *b)
{
	while (b->retired) {
		struct bus_map *map = b->retired;
		b->retired = map->retired;
		free(map);
	}
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

// What the reader in this place publishes. Context: b->lock held.
static uint64_t used_by(struct bus *b, uint32_t place)
{
	struct bus_reader *r = atomic_load(&b->reader[place]);

	return r ? atomic_load(&r->using) : 0;
}

// Whether an access may use the retired map with this serial. Context: b->lock held.
static bool used(struct bus *b, uint64_t serial)
{
	for (uint32_t i = 0; i < BUS_MAX_READERS; i++) {
		uint64_t using = used_by(b, i);
		if (using & 1 ? using == serial : using && using < serial)
			return true;
	}
	return false;
}

// Frees retired maps that nobody uses. Context: b->lock held.
static void reclaim(struct bus *b)
{
	for (struct bus_map **at = &b->retired; *at;) {
		struct bus_map *map = *at;
		if (used(b, map->serial)) {
			at = &map->retired;
		} else {
			*at = map->retired;
			free(map);
		}
	}
}

uint64_t bus_serial(struct bus *b)
{
	LOCKED(&b->lock);
	return atomic_load(&b->map)->serial;
}

bool bus_quiet(struct bus *b, uint64_t serial)
{
	LOCKED(&b->lock);
	reclaim(b);
	for (uint32_t i = 0; i < BUS_MAX_READERS; i++) {
		uint64_t using = used_by(b, i);
		if (using && using < serial)
			return false;
	}
	return true;
}

void bus_reader_bind(struct bus_reader *r)
{
	atomic_store_explicit(&r->thread, (int)syscall(SYS_gettid), memory_order_relaxed);
}

bool bus_inside(struct bus *b)
{
	int me = (int)syscall(SYS_gettid);

	LOCKED(&b->lock);
	for (uint32_t i = 0; i < BUS_MAX_READERS; i++) {
		struct bus_reader *r = atomic_load(&b->reader[i]);
		if (r && atomic_load(&r->thread) == me && atomic_load(&r->using))
			return true;
	}
	return false;
}

// Makes `new` the map. Context: b->lock held. The stores are sequentially consistent, as is a
// reader's of the number it publishes: either the reader sees the new map or we see its number.
static void publish(struct bus *b, struct bus_map *new)
{
	new->serial = atomic_load(&b->map)->serial + 2;
	struct bus_map *old = atomic_exchange(&b->map, new);

	atomic_store(&b->serial, new->serial);
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

static bool overlap(const struct bus_entry *a, const struct bus_entry *b)
{
	return a->base < b->base + b->len && b->base < a->base + a->len;
}

// Publishes the table without its entry `out` and with `in`; either may be NULL. Context: b->lock
// held.
static int change(struct bus *b, const struct bus_entry *out, const struct bus_entry *in)
{
	struct bus_map *old = atomic_load(&b->map);
	uint32_t count = old->count - (out ? 1 : 0) + (in ? 1 : 0), n = 0;
	bool placed = !in;

	if (count > BUS_MAX_ENTRIES)
		return -ENOSPC;
	struct bus_map *new = map_alloc(count);
	if (!new)
		return -ENOMEM;
	for (uint32_t i = 0; i < old->count; i++) {
		const struct bus_entry *e = &old->entry[i];
		if (e == out)
			continue;
		if (in && overlap(e, in)) {
			free(new);
			return -EEXIST;
		}
		if (!placed && e->base > in->base) {
			new->entry[n++] = *in;
			placed = true;
		}
		new->entry[n++] = *e;
	}
	if (!placed)
		new->entry[n++] = *in;
	publish(b, new);
	return 0;
}

static bool in_space(const struct bus *b, uint64_t base, uint64_t len)
{
	return len && base + len >= base && base + len <= b->limit;
}

// The entry of exactly this range, or NULL. Context: b->lock held.
static const struct bus_entry *find(struct bus *b, uint64_t base, uint64_t len)
{
	const struct bus_map *map = atomic_load(&b->map);

	for (uint32_t i = 0; i < map->count; i++)
		if (map->entry[i].base == base && map->entry[i].len == len)
			return &map->entry[i];
	return NULL;
}

int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct dev *d, uint32_t region)
{
	struct bus_entry in = { base, len, d, region };

	if (!in_space(b, base, len))
		return -EINVAL;
	LOCKED(&b->lock);
	return change(b, NULL, &in);
}

int bus_release(struct bus *b, uint64_t base, uint64_t len)
{
	LOCKED(&b->lock);
	const struct bus_entry *out = find(b, base, len);

	return out ? change(b, out, NULL) : -ENOENT;
}

int bus_move(struct bus *b, uint64_t base, uint64_t len, uint64_t to)
{
	if (!in_space(b, to, len))
		return -EINVAL;
	LOCKED(&b->lock);
	const struct bus_entry *out = find(b, base, len);

	if (!out)
		return -ENOENT;
	struct bus_entry in = *out;
	in.base = to;
	return change(b, out, &in);
}

void bus_counts(struct bus *b, struct bus_counts *ret)
{
	LOCKED(&b->lock);
	*ret = (struct bus_counts){ .unclaimed_reads = count_get(&b->unclaimed_reads),
				    .unclaimed_writes = count_get(&b->unclaimed_writes) };
	for (const struct bus_map *map = b->retired; map; map = map->retired)
		ret->old_tables++;
}
