// SPDX-License-Identifier: Apache-2.0
/*
 * Several CPUs hammer port and memory-mapped I/O at once; each checks what it reads. Needs
 * pc-testdev. Command line: cpus=N, n=ROUNDS a CPU. CPU k owns 256 bytes of the MMIO window and one
 * byte of the latch (k % 4, so writers race there on purpose).
 */
#include "guest.h"
#include "testdev.h"

static u32 done, bad;
static u64 rounds;

static void hammer(void)
{
	u32 me = this_cpu()->index, wrong = 0;
	u64 window = TESTDEV_MMIO + me * 256, i;
	bool alone = arg_u64("cpus", 1) <= 4; // then nobody else writes our byte of the latch

	for (i = 0; i < rounds; i++) {
		u64 at = window + (i * 8) % 256;

		write32(at, (u32)i ^ me << 24);
		outb((u16)(TESTDEV_LATCH + me % 4), (u8)i);
		wrong += read32(at) != ((u32)i ^ me << 24);
		if (alone)
			wrong += inb((u16)(TESTDEV_LATCH + me % 4)) != (u8)i;
		wrong += inb(0x5f00) != 0xff;
	}
	__atomic_fetch_add(&bad, wrong, __ATOMIC_SEQ_CST);
	atomic_inc(&done);
}

static void hammer_all(void)
{
	u32 cpus = (u32)arg_u64("cpus", 1);
	u64 start = rdtsc();

	rounds = arg_u64("n", 1000);
	if (cpus > 1)
		smp_start(hammer);
	hammer();
	check(WAIT_FOR(READ_ONCE(done) >= cpus, 600000));
	check_equal(bad, 0);
	printf("# %u CPUs, %lu accesses, %lu ticks\n", cpus, cpus * rounds * 5, rdtsc() - start);
}

const struct test tests[] = {
	{ "hammer", hammer_all },
	{},
};
