// SPDX-License-Identifier: Apache-2.0
// A domain's grant table, version 1 (xen/include/public/grant_table.h): which of its pages the
// guest lets a back-end use. The frames are the guest's to write at any moment.
#ifndef VMM_GNTTAB_H
#define VMM_GNTTAB_H

#include "gmem.h"

enum {
	GNTTAB_PAGE = 4096,
	GNTTAB_FRAMES = 64, // Xen's default
	GNTTAB_PER_FRAME = GNTTAB_PAGE / 8,
	GNTTAB_REFS = GNTTAB_FRAMES * GNTTAB_PER_FRAME,
};

#define GNTTAB_NOWHERE UINT64_MAX

// How often a reference is mapped here.
struct gnttab_pins {
	uint16_t readers, writers;
	uint32_t late_readers, late_writers; // from before a reset: nothing to the guest
};

struct gnttab_counters {
	uint64_t mapped; // now
	uint64_t maps, refused;
};

struct gnttab {
	struct lock lock; // guards all below; a leaf
	struct gmem *memory;
	struct gmem_dev gmem_dev;
	uint64_t frame[GNTTAB_FRAMES]; // guest-physical addresses
	struct gnttab_pins pins[GNTTAB_REFS];
	struct gnttab_counters counters;
};

struct gnttab *gnttab_create(struct gmem *memory);
void gnttab_destroy(struct gnttab *t);
// No frame lies anywhere, and what was mapped counts as given back: a gnttab_unmap() that comes
// late gives back nothing else.
void gnttab_reset(struct gnttab *t);
// Where a frame lies from here on. -EINVAL: there is no such frame.
int gnttab_place(struct gnttab *t, uint32_t index, uint64_t gpa);
// The page behind a reference, for reading or for writing as well, until gnttab_unmap(). The guest
// sees that it is used. Any thread.
//
// -EINVAL: no such reference, or it grants nothing; -EPERM: it is another domain's; -EACCES: to be
// read only; -EAGAIN: the guest kept changing it; -EFAULT: no memory there; -EBUSY: mapped too
// often.
int gnttab_map(struct gnttab *t, uint32_t ref, bool write, void **ret);
// Ends one gnttab_map() of the same kind.
void gnttab_unmap(struct gnttab *t, uint32_t ref, bool write);
void gnttab_counters(struct gnttab *t, struct gnttab_counters *ret);

#endif
