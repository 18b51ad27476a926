// SPDX-License-Identifier: Apache-2.0
/*
 * For snapshots: keeps the same number in a register, memory, an MSR and the scratch register of
 * COM1, advances all once a round and checks that they agree. Prints "# round N" every `every`
 * rounds, ends after `rounds`.
 */
#include "guest.h"

#define BUFFER_WORDS 4096

static u64 buffer[BUFFER_WORDS];

int guest_main(void)
{
	u64 rounds = arg_u64("rounds", 1000), every = arg_u64("every", 100), i, k, bad = 0;

	printf("KTAP version 1\n1..1\n");
	for (i = 1; i <= rounds; i++) {
		for (k = 0; k < 16; k++)
			buffer[(i * 16 + k) % BUFFER_WORDS] = i;
		wrmsr(MSR_KERNEL_GS_BASE, i);
		outb(COM1 + 7, (u8)i);
		for (k = 0; k < 16; k++)
			bad += READ_ONCE(buffer[(i * 16 + k) % BUFFER_WORDS]) != i;
		bad += rdmsr(MSR_KERNEL_GS_BASE) != i;
		bad += inb(COM1 + 7) != (u8)i;
		if (i % every == 0)
			printf("# round %lu\n", i);
	}
	printf("%s 1 state-agrees\n", bad ? "not ok" : "ok");
	return bad ? EXIT_FAIL : EXIT_PASS;
}
