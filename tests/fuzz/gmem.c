// SPDX-License-Identifier: Apache-2.0
// Guest memory: regions anywhere in the 64-bit space, translations of anything.
#include "fuzz.h"
#include "gmem.h"

#define SLOTS 16
#define MAX_PIECES 4
#define MAX_SIZE 0x4000

struct slot {
	uint64_t gpa, size;
	uint8_t *hva;
};

static void add_or_remove(struct gmem *m, struct slot *s, struct input *in)
{
	if (s->hva) {
		MUST(!gmem_remove(m, s->gpa, s->size));
		free(s->hva);
		s->hva = NULL;
		return;
	}
	s->gpa = take(in, 1) & 1 ? take(in, 2) : 0 - take(in, 2);
	s->size = take(in, 2) % MAX_SIZE;
	s->hva = malloc(s->size + 1);
	MUST(s->hva);
	int err = gmem_add(m, s->gpa, s->size, s->hva, (uint32_t)take(in, 1) & GMEM_READONLY);
	MUST(!err || err == -EINVAL || err == -EEXIST);
	if (err) {
		free(s->hva);
		s->hva = NULL;
	}
}

static void translate(struct gmem *m, struct gmem_dev *dev, struct input *in)
{
	struct gmem_piece piece[MAX_PIECES];
	uint64_t gpa = take(in, 1) & 1 ? take(in, 2) : 0 - take(in, 2);
	uint64_t len = take(in, take(in, 1) & 1 ? 2 : 8), sum = 0;
	enum gmem_dir dir = take(in, 1) & 1 ? GMEM_READ : GMEM_WRITE;
	int count = gmem_at(m, dev, gpa, len, dir, piece, MAX_PIECES);

	MUST(count >= 0 || count == -EFAULT || count == -EROFS || count == -E2BIG);
	for (int i = 0; i < count; i++) { // the address sanitizer knows each region's ends
		volatile uint8_t *p = piece[i].hva;
		MUST(piece[i].len);
		p[0] = 1;
		p[piece[i].len - 1] = 1;
		sum += piece[i].len;
	}
	MUST(count < 0 || sum == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct slot slot[SLOTS] = { 0 };
	struct gmem_dev dev = { 0 };
	struct gmem *m = gmem_create();
	uint8_t buf[64];

	MUST(m);
	while (in.left) {
		uint8_t op = (uint8_t)take(&in, 1);
		if (op & 1)
			add_or_remove(m, &slot[op / 2 % SLOTS], &in);
		else if (op & 2)
			translate(m, &dev, &in);
		else if (op & 4)
			gmem_read(m, &dev, take(&in, 2), buf, take(&in, 1) % sizeof(buf));
		else
			gmem_zero(m, &dev, take(&in, 2), take(&in, 2));
	}
	gmem_destroy(m);
	for (int i = 0; i < SLOTS; i++)
		free(slot[i].hva);
	return 0;
}
