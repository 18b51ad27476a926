// SPDX-License-Identifier: Apache-2.0
// Accesses: finding who answers, cutting what no single device takes whole. The table is
// bus_table.c.
#include "bus.h"

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

// Accesses of other sizes than these always search.
static void set_reach(struct bus_reader *r)
{
	uint64_t len = r->last.len, wide = r->last.dev->flags & DEV_BYTES ? 0 : len;

	r->reach[1] = len;
	r->reach[2] = wide >= 2 ? wide - 1 : 0;
	r->reach[4] = wide >= 4 ? wide - 3 : 0;
	r->reach[8] = wide >= 8 ? wide - 7 : 0;
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
	set_reach(r);
	return r->last.len - (addr - r->last.base) >= size ? &r->last : NULL;
}

// Enters an access. Serials come after their maps, so that the map found is the number's or newer.
HOT const struct bus_map *enter(struct bus *b, struct bus_reader *r)
{
	atomic_store(&r->using, atomic_load_explicit(&b->serial, memory_order_acquire) - 1);
	const struct bus_map *map = atomic_load(&b->map);

	atomic_store_explicit(&r->using, map->serial, memory_order_release);
	return map;
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

	bool taken = e->dev->ops->write_burst;

	if (likely(taken)) {
		lock_take(&e->dev->lock);
		e->dev->ops->write_burst(e->dev, e->region, addr - e->base, bytes, count);
		lock_drop(&e->dev->lock);
	}
	bus_leave(r);
	return taken;
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
