// SPDX-License-Identifier: Apache-2.0
// Readers translate and copy while regions beside theirs come and go; then random operations on one
// thread against a plain table, with every piece touched from end to end: the address sanitizer
// sees a pointer that leaves its region.
#include <stdatomic.h>

#include "check.h"
#include "gmem.h"

#define READERS 3
#define PAGE 0x1000ULL
#define KEPT 0x100000ULL // this region stays; the others are all below
#define CHANGES 3000
#define OPERATIONS 20000
#define SLOTS 12
#define MAX_PIECES 6

static struct gmem *memory;
static _Atomic bool done;

struct slot { // the plain table
	uint64_t gpa, size;
	uint8_t *hva;
	uint32_t flags;
};

static struct slot slot[SLOTS];

static void touch(const struct gmem_piece *piece, int count, uint64_t len)
{
	for (int i = 0; i < count; i++) {
		volatile uint8_t *p = piece[i].hva;
		CHECK(piece[i].len && piece[i].len <= len);
		p[0] = p[0];
		p[piece[i].len - 1] = p[piece[i].len - 1];
		len -= piece[i].len;
	}
	CHECK(!len);
}

static void *reader(void *opaque)
{
	unsigned int seed = (unsigned int)(uintptr_t)opaque;
	struct gmem_dev dev = { 0 };
	uint64_t generation = 0;
	uint8_t buf[64];

	while (!atomic_load(&done)) {
		uint64_t now = gmem_generation(memory);
		uint64_t offset = (uint64_t)rand_r(&seed) % (PAGE - sizeof(buf));
		CHECK(now >= generation);
		generation = now;
		CHECK(!gmem_read(memory, &dev, KEPT + offset, buf, sizeof(buf)));
		CHECK(buf[0] == 0x5a && buf[63] == 0x5a);
		CHECK(gmem_read(memory, &dev, KEPT + PAGE - 1, buf, 2) == -EFAULT);
	}
	return NULL;
}

static void change_beside_readers(void)
{
	pthread_t thread[READERS];
	uint8_t *kept = malloc(PAGE), *passing = malloc(PAGE);

	CHECK(kept && passing);
	memset(kept, 0x5a, PAGE);
	CHECK(!gmem_add(memory, KEPT, PAGE, kept, 0));
	for (uintptr_t i = 0; i < READERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, reader, (void *)(i + 1)));
	for (uint64_t i = 0; i < CHANGES; i++) {
		uint64_t gpa = i % 7 * PAGE;
		CHECK(!gmem_add(memory, gpa, PAGE, passing, 0));
		CHECK(!gmem_remove(memory, gpa, PAGE));
	}
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	CHECK(!gmem_remove(memory, KEPT, PAGE));
	free(kept);
	free(passing);
}

static void add_or_remove(struct slot *s, unsigned int *seed)
{
	if (s->size) {
		CHECK(!gmem_remove(memory, s->gpa, s->size));
		free(s->hva);
		s->size = 0;
		return;
	}
	uint64_t gpa = (uint64_t)rand_r(seed) % 64 * PAGE;
	uint64_t size = (1 + (uint64_t)rand_r(seed) % 8) * PAGE;
	uint32_t flags = rand_r(seed) % 4 ? 0 : GMEM_READONLY;
	bool overlaps = false;
	for (int i = 0; i < SLOTS; i++)
		overlaps |= slot[i].size && gpa < slot[i].gpa + slot[i].size &&
			    slot[i].gpa < gpa + size;
	uint8_t *hva = malloc(size);
	CHECK(hva);
	int err = gmem_add(memory, gpa, size, hva, flags);
	CHECK(err == (overlaps ? -EEXIST : 0));
	if (err)
		free(hva);
	else
		*s = (struct slot){ gpa, size, hva, flags };
}

static const struct slot *slot_of(uint64_t gpa)
{
	for (int i = 0; i < SLOTS; i++)
		if (slot[i].size && gpa - slot[i].gpa < slot[i].size)
			return &slot[i];
	return NULL;
}

// What gmem_at() must answer: the number of pieces, or an error.
static int expected(uint64_t gpa, uint64_t len, enum gmem_dir dir, uint32_t max)
{
	uint32_t n = 0;

	if (gpa + len < gpa)
		return -EFAULT;
	while (len) {
		const struct slot *s = slot_of(gpa);
		if (!s)
			return -EFAULT;
		if (dir == GMEM_WRITE && s->flags)
			return -EROFS;
		if (n++ == max)
			return -E2BIG;
		uint64_t part = s->gpa + s->size - gpa;
		part = part < len ? part : len;
		gpa += part;
		len -= part;
	}
	return (int)n;
}

static void translate(struct gmem_dev *dev, unsigned int *seed)
{
	struct gmem_piece piece[MAX_PIECES];
	uint64_t gpa = (uint64_t)rand_r(seed) % (72 * PAGE);
	uint64_t len = (uint64_t)rand_r(seed) % ((rand_r(seed) % 4 ? 1 : 12) * PAGE);
	enum gmem_dir dir = rand_r(seed) % 2 ? GMEM_READ : GMEM_WRITE;
	uint32_t max = 1 + (uint32_t)rand_r(seed) % MAX_PIECES;

	if (rand_r(seed) % 16 == 0)
		gpa = 0 - (uint64_t)rand_r(seed) % PAGE; // wraps, most often
	int count = gmem_at(memory, dev, gpa, len, dir, piece, max);
	CHECK(count == expected(gpa, len, dir, max));
	if (count >= 0)
		touch(piece, count, len);
	if (!gmem_zero(memory, dev, gpa, len))
		CHECK(expected(gpa, len, GMEM_WRITE, 8) >= 0);
}

int main(void)
{
	struct gmem_dev dev = { 0 };
	struct gmem_counts counts;
	unsigned int seed = 4;

	CHECK((memory = gmem_create()));
	change_beside_readers();
	for (int i = 0; i < OPERATIONS; i++) {
		if (i % 8 == 0)
			add_or_remove(&slot[rand_r(&seed) % SLOTS], &seed);
		translate(&dev, &seed);
	}
	for (int i = 0; i < SLOTS; i++)
		if (slot[i].size)
			free(slot[i].hva);
	gmem_counts(&dev, &counts);
	CHECK(counts.reads && counts.writes && counts.denied);
	gmem_destroy(memory);
	printf("reads %llu, writes %llu, denied %llu\n", (unsigned long long)counts.reads,
	       (unsigned long long)counts.writes, (unsigned long long)counts.denied);
	return 0;
}
