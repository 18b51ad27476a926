// SPDX-License-Identifier: Apache-2.0
// An address space (port I/O or MMIO) as an immutable sorted table, swapped whole.
//
// Lookups take no lock: tables have odd numbers, a reader publishes the one it uses, and a retired
// table that nobody uses is freed. Before it has found the table it publishes the even number below
// the present one, and may then use any table above that. A BAR may therefore move inside an access
// without a lock to deadlock on, and a long access keeps one table, however many come meanwhile.
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include "base.h"
#include "dev.h"

#define BUS_MAX_ENTRIES 512
#define BUS_MAX_READERS 512
#define BUS_MAX_BYTES 8 // of one access

struct bus_entry {
	uint64_t base, len;
	struct dev *dev;
	uint32_t region;
};

struct bus_map {
	uint32_t count;
	uint64_t serial; // odd; unlike its address, never seen twice
	struct bus_map *retired;
	struct bus_entry entry[];
};

struct bus_reader {
	// Outside an access 0. Odd: serial of the map in use; even: those above may be in use.
	_Atomic uint64_t using;
	struct bus_entry last; // copy of the last hit, which may be a gap between devices
	uint64_t last_serial; // ... in the map with this serial; 0: it is no shortcut
	// By size: where in it an access is the device's whole begins below this.
	uint64_t reach[BUS_MAX_BYTES + 1];
	_Atomic int thread; // whose accesses these are, see bus_inside(); 0: nobody's in particular
};

struct bus {
	pthread_mutex_t lock; // writers only
	_Atomic(struct bus_map *) map;
	_Atomic uint64_t serial; // the map's; stored after it
	struct bus_map *retired;
	struct bus_reader *_Atomic reader[BUS_MAX_READERS];
	struct dev nobody; // answers where no device does: all-ones, counted
	_Atomic uint64_t unclaimed_reads, unclaimed_writes;
	uint64_t limit; // addresses lie below it
};

// limit: 0x10000 for port I/O, 2^52 for MMIO.
struct bus *bus_create(uint64_t limit);
void bus_destroy(struct bus *b);
int bus_add_reader(struct bus *b, struct bus_reader *r);
void bus_remove_reader(struct bus *b, struct bus_reader *r);

// Changes of the table, from any thread, also from inside an access (a BAR that moves): each takes
// effect at once and whole, for every access that begins afterwards. One under way goes on with the
// table it began with, and so may still reach a device that was released.
//
// -EINVAL (length 0, beyond the limit), -EEXIST (overlap), -ENOSPC, -ENOMEM.
int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct dev *d, uint32_t region);
// -ENOENT unless exactly this range is claimed.
int bus_release(struct bus *b, uint64_t base, uint64_t len);
// The claim answers at `to` and no longer at `base`: no access finds it at both or at neither.
// Errors are those of the two above; the claim then stays where it is.
int bus_move(struct bus *b, uint64_t base, uint64_t len, uint64_t to);

// The present table's number; each change makes a higher one.
uint64_t bus_serial(struct bus *b);
// True once every access that may use a table older than `serial` has ended: what was released
// before bus_serial() gave that number may be freed. Not true inside an access that began before.
bool bus_quiet(struct bus *b, uint64_t serial);
// The calling thread makes this reader's accesses from now on.
void bus_reader_bind(struct bus_reader *r);
// Is the calling thread inside an access of a reader that is bound to it? It must not wait for
// bus_quiet() then.
bool bus_inside(struct bus *b);

HOT int bus_locked_read(const struct bus_entry *e, uint64_t addr, uint64_t size, uint64_t *ret)
{
	struct dev *d = e->dev;

	lock_take(&d->lock);
	int err = d->ops->read(d, e->region, addr - e->base, (uint32_t)size, ret);
	lock_drop(&d->lock);
	return err;
}

HOT int bus_locked_write(const struct bus_entry *e, uint64_t addr, uint64_t size, uint64_t value)
{
	struct dev *d = e->dev;

	lock_take(&d->lock);
	int err = d->ops->write(d, e->region, addr - e->base, (uint32_t)size, value);
	lock_drop(&d->lock);
	return err;
}

// Publishes the map of the last hit. True if that answers this access too and its device takes it
// whole.
HOT bool bus_enter_hit(struct bus *b, struct bus_reader *r, uint64_t addr, uint64_t size)
{
	uint64_t serial = r->last_serial;

	// Sequentially consistent, as are publish()'s: either we see the new map's number or the
	// writer sees ours.
	atomic_store(&r->using, serial);
	return likely(atomic_load(&b->serial) == serial) &&
	       likely(addr - r->last.base < r->reach[size]);
}

HOT void bus_leave(struct bus_reader *r)
{
	atomic_store_explicit(&r->using, 0, memory_order_release);
}

COLD int bus_read_searching(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size,
			    uint64_t *ret);
COLD int bus_write_searching(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size,
			     uint64_t value);

HOT uint64_t bus_mask(uint32_t size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

// The two below without the masks: of *ret only the lowest `size` bytes mean anything, and `value`
// has no other.
HOT int bus_read_unmasked(struct bus *b, struct bus_reader *r, uint64_t addr, uint64_t size,
			  uint64_t *ret)
{
	int err;

	*ret = UINT64_MAX;
	if (likely(bus_enter_hit(b, r, addr, size)))
		err = bus_locked_read(&r->last, addr, size, ret);
	else
		err = bus_read_searching(b, r, addr, (uint32_t)size, ret);
	bus_leave(r);
	return err;
}

HOT int bus_write_masked(struct bus *b, struct bus_reader *r, uint64_t addr, uint64_t size,
			 uint64_t value)
{
	int err;

	if (likely(bus_enter_hit(b, r, addr, size)))
		err = bus_locked_write(&r->last, addr, size, value);
	else
		err = bus_write_searching(b, r, addr, (uint32_t)size, value);
	bus_leave(r);
	return err;
}

// One access of 1 to 8 bytes; ranges that are not fully inside one entry are served bytewise.
// Returns what the device returned; unclaimed reads give all-ones, unclaimed writes vanish; both
// are counted.
HOT int bus_read(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t *ret)
{
	int err = bus_read_unmasked(b, r, addr, size, ret);

	*ret &= bus_mask(size);
	return err;
}

HOT int bus_write(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t value)
{
	return bus_write_masked(b, r, addr, size, value & bus_mask(size));
}

// `count` one-byte writes to one address, in order, for a device that takes them together: it then
// wants bus_settle() for this address soon, see struct dev_ops. False: it is none, nothing
// happened.
bool bus_write_burst(struct bus *b, struct bus_reader *r, uint64_t addr, const uint8_t *bytes,
		     uint32_t count);
void bus_settle(struct bus *b, struct bus_reader *r, uint64_t addr);

struct bus_counts {
	uint64_t unclaimed_reads, unclaimed_writes;
	uint64_t old_tables; // that accesses under way may use
};

void bus_counts(struct bus *b, struct bus_counts *ret);

#endif
