// SPDX-License-Identifier: Apache-2.0
/*
 * Runs for ever, counting in memory, so that the host can pause, resume, kick and stop it and see
 * it stand still or move. Each CPU counts in its own cell of the page at COUNTERS. Command line:
 * cpus=N; exits adds one exit a million rounds.
 */
#include "guest.h"

#define COUNTERS 0x400000 /* u64 magic, u64 CPUs running, then one u64 a CPU */
#define MAGIC 0x746e756f632d6b63ull

static volatile u64 *const cells = (volatile u64 *)COUNTERS;

static void count(void)
{
	volatile u64 *mine = &cells[2 + this_cpu()->index];
	bool exits = arg_flag("exits");

	__atomic_fetch_add((u64 *)&cells[1], 1, __ATOMIC_SEQ_CST);
	for (;;) {
		(*mine)++;
		if (exits && *mine % 1000000 == 0)
			outb(0x80, 0);
	}
}

int guest_main(void)
{
	u64 i;

	if ((u64)image_end > COUNTERS)
		panic("image too large");
	for (i = 0; i < 512; i++)
		cells[i] = 0;
	cells[0] = MAGIC;
	if (arg_u64("cpus", 1) > 1)
		smp_start(count);
	printf("# counting\n");
	count();
	return EXIT_FAIL;
}
