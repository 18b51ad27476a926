// SPDX-License-Identifier: Apache-2.0
// An address space (port I/O or MMIO) as an immutable sorted table, swapped whole.
//
// Lookups take no lock: a reader publishes the table it uses in its hazard slot, and a retired
// table is freed once no slot holds it. A BAR may therefore move inside an access without a lock to
// deadlock on.
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include "base.h"
#include "dev.h"

#define BUS_MAX_ENTRIES 512
#define BUS_MAX_READERS 512

struct bus_entry {
	uint64_t base, len;
	struct dev *dev;
	uint32_t region;
};

struct bus_map {
	uint32_t count;
	uint64_t serial; // unlike its address, never seen twice
	struct bus_map *retired;
	struct bus_entry entry[];
};

struct bus_reader {
	_Atomic(struct bus_map *) using; // NULL outside an access
	struct bus_entry last; // copy of the last hit
	uint64_t last_serial; // ... in the map with this serial
};

struct bus {
	pthread_mutex_t lock; // writers only
	_Atomic(struct bus_map *) map;
	struct bus_map *retired;
	struct bus_reader *_Atomic reader[BUS_MAX_READERS];
	_Atomic uint64_t unclaimed_reads, unclaimed_writes;
	uint64_t limit; // addresses lie below it
};

// limit: 0x10000 for port I/O, 2^52 for MMIO.
struct bus *bus_create(uint64_t limit);
void bus_destroy(struct bus *b);
int bus_add_reader(struct bus *b, struct bus_reader *r);
void bus_remove_reader(struct bus *b, struct bus_reader *r);

// -EINVAL (length 0, beyond the limit), -EEXIST (overlap), -ENOSPC, -ENOMEM.
int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct dev *d, uint32_t region);
// -ENOENT unless exactly this range is claimed.
int bus_release(struct bus *b, uint64_t base, uint64_t len);
// True once no reader can still be inside an access that started before the last change. Never true
// for a caller that is itself inside an access.
bool bus_quiesced(struct bus *b);

// One access; ranges that are not fully inside one entry are served bytewise. Returns what the
// device returned; unclaimed reads give all-ones, unclaimed writes vanish; both are counted.
int bus_read(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t *ret);
int bus_write(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t value);
// `count` one-byte writes to one address, in order; what the device answers is dropped. True: the
// device wants bus_settle() for this address soon, see struct dev_ops.
bool bus_write_burst(struct bus *b, struct bus_reader *r, uint64_t addr, const uint8_t *bytes,
		     uint32_t count);
void bus_settle(struct bus *b, struct bus_reader *r, uint64_t addr);

struct bus_counts {
	uint64_t unclaimed_reads, unclaimed_writes;
};

void bus_counts(struct bus *b, struct bus_counts *ret);

#endif
