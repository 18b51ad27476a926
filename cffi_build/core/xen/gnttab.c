// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "gnttab.h"

enum {
	// struct grant_entry_v1's first word: flags, and whom the grant is for above them.
	GTF_TYPE = 3,
	GTF_PERMIT_ACCESS = 1,
	GTF_READONLY = 1 << 2,
	GTF_READING = 1 << 3,
	GTF_WRITING = 1 << 4,
	DOMID_SHIFT = 16,
	BACKEND = 0, // who we are to the guest
	TRIES = 5, // Xen's too
};

struct entry {
	uint32_t flags_domid;
	uint32_t frame;
};

struct gnttab *gnttab_create(struct gmem *memory)
{
	struct gnttab *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	lock_init(&t->lock);
	t->memory = memory;
	gnttab_reset(t);
	return t;
}

void gnttab_destroy(struct gnttab *t)
{
	free(t);
}

void gnttab_reset(struct gnttab *t)
{
	LOCKED(&t->lock);
	for (uint32_t i = 0; i < GNTTAB_FRAMES; i++)
		t->frame[i] = GNTTAB_NOWHERE;
	for (uint32_t ref = 0; ref < GNTTAB_REFS; ref++) {
		struct gnttab_pins *p = &t->pins[ref];
		p->late_readers += p->readers;
		p->late_writers += p->writers;
		p->readers = p->writers = 0;
	}
	t->counters.mapped = 0;
}

int gnttab_place(struct gnttab *t, uint32_t index, uint64_t gpa)
{
	if (index >= GNTTAB_FRAMES)
		return -EINVAL;
	LOCKED(&t->lock);
	t->frame[index] = gpa;
	return 0;
}

// The entry of a reference as the guest sees it. 0 or -errno.
static int entry_of(struct gnttab *t, uint32_t ref, struct entry **ret)
{
	struct gmem_piece piece;

	// GUEST: references come from rings and from xenstore.
	if (ref >= GNTTAB_REFS || t->frame[ref / GNTTAB_PER_FRAME] == GNTTAB_NOWHERE)
		return -EINVAL;
	uint64_t at = t->frame[ref / GNTTAB_PER_FRAME] +
		      ref % GNTTAB_PER_FRAME * (uint64_t)sizeof(struct entry);
	if (gmem_at(t->memory, &t->gmem_dev, at, sizeof(struct entry), GMEM_WRITE, &piece, 1) != 1)
		return -EFAULT;
	*ret = piece.hva;
	return 0;
}

// Shows the guest that the page is used, if it grants that (acquire: the frame is read after it).
static int claim(struct entry *e, bool write)
{
	uint32_t use = write ? GTF_READING | GTF_WRITING : GTF_READING;

	for (int i = 0; i < TRIES; i++) {
		// GUEST:
		uint32_t word = __atomic_load_n(&e->flags_domid, __ATOMIC_RELAXED);
		if ((word & GTF_TYPE) != GTF_PERMIT_ACCESS)
			return -EINVAL;
		if (word >> DOMID_SHIFT != BACKEND)
			return -EPERM;
		if (write && word & GTF_READONLY)
			return -EACCES;
		if (__atomic_compare_exchange_n(&e->flags_domid, &word, word | use, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return 0;
	}
	return -EAGAIN;
}

// Takes back what nobody uses any more (release: our accesses to the page come before).
static void unclaim(struct entry *e, const struct gnttab_pins *p)
{
	uint32_t unused = p->writers ? 0 : GTF_WRITING;

	if (!p->writers && !p->readers)
		unused |= GTF_READING;
	if (unused)
		__atomic_fetch_and(&e->flags_domid, ~unused, __ATOMIC_RELEASE);
}

static int map(struct gnttab *t, uint32_t ref, bool write, void **ret)
{
	struct gmem_piece piece;
	struct entry *e;
	int err = entry_of(t, ref, &e);

	if (err)
		return err;
	struct gnttab_pins *p = &t->pins[ref];
	uint16_t *pin = write ? &p->writers : &p->readers;
	if (*pin == UINT16_MAX)
		return -EBUSY;
	err = claim(e, write);
	if (err)
		return err;
	// GUEST: read once; from here on the guest must not change it, and if it does, it is the
	// page that it had named.
	uint64_t gpa = (uint64_t)__atomic_load_n(&e->frame, __ATOMIC_RELAXED) * GNTTAB_PAGE;
	if (gmem_at(t->memory, &t->gmem_dev, gpa, GNTTAB_PAGE, write ? GMEM_WRITE : GMEM_READ,
		    &piece, 1) != 1) {
		unclaim(e, p);
		return -EFAULT;
	}
	++*pin;
	*ret = piece.hva;
	return 0;
}

int gnttab_map(struct gnttab *t, uint32_t ref, bool write, void **ret)
{
	LOCKED(&t->lock);
	int err = map(t, ref, write, ret);

	if (err) {
		t->counters.refused++;
	} else {
		t->counters.maps++;
		t->counters.mapped++;
	}
	return err;
}

void gnttab_unmap(struct gnttab *t, uint32_t ref, bool write)
{
	struct entry *e;

	LOCKED(&t->lock);
	if (ref >= GNTTAB_REFS)
		return;
	struct gnttab_pins *p = &t->pins[ref];
	uint16_t *pin = write ? &p->writers : &p->readers;
	uint32_t *late = write ? &p->late_writers : &p->late_readers;
	if (*late) {
		--*late; // whichever of them it is: what is mapped now is no less used
		return;
	}
	if (!*pin)
		return;
	--*pin;
	t->counters.mapped--;
	if (!entry_of(t, ref, &e))
		unclaim(e, p);
}

void gnttab_counters(struct gnttab *t, struct gnttab_counters *ret)
{
	LOCKED(&t->lock);
	*ret = t->counters;
}
