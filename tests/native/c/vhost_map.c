// SPDX-License-Identifier: Apache-2.0
// Guest memory that changes while vhost is told of it: either vhost knows all of it, or the number
// of what it knows is an old one. vnet_vhost.c is part of this program, so that the change can come
// in the middle.
#include <sys/ioctl.h>

#include "check.h"
#include "gmem.h"

#define REGION 4096u

static struct gmem *mem;
static uint8_t ram[8 * REGION];
static uint32_t added, told; // regions

// A region more right before the number is read.
static uint64_t generation_of_change(struct gmem *m)
{
	uint64_t at = added++;

	CHECK(!gmem_add(m, at * REGION, REGION, ram + at * REGION, 0));
	return gmem_generation(m);
}

static int vhost_ioctl(int fd, unsigned long request, const void *argument);

#define gmem_generation generation_of_change
#define ioctl vhost_ioctl
#include "vnet_vhost.c"
#undef gmem_generation
#undef ioctl

static int vhost_ioctl(int fd, unsigned long request, const void *argument)
{
	const struct vhost_memory *memory = argument;

	if (request == VHOST_SET_MEM_TABLE)
		told = memory->nregions;
	return 0;
}

int main(void)
{
	struct vnet *n = calloc(1, sizeof(*n) + sizeof(n->pair[0]));

	mem = gmem_create();
	CHECK(n && mem);
	n->vdev.mem = mem;
	n->pairs = 1;
	for (int i = 0; i < 8; i++) {
		CHECK(!set_memory(n));
		CHECK(told == added || n->vhost_generation != gmem_generation(mem));
	}
	CHECK(told == 8);
	printf("%u regions told\n", told);
	gmem_destroy(mem);
	free(n);
	return 0;
}
