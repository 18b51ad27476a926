// SPDX-License-Identifier: Apache-2.0
/*
 * Writes `bytes` (a multiple of 4096) to COM1 as fast as it can, for consoles with slow readers.
 * Every 4096 bytes are 64 lines of 64; the first begins with the block's number in 16 hex digits,
 * so that a reader sees what is missing. Does not ask the UART whether it is ready: ours always is.
 */
#include "guest.h"

#define BLOCK 4096
#define LINE 64
#define DIGITS 16

static char block[BLOCK];

static void number(u64 v)
{
	int i;

	for (i = DIGITS - 1; i >= 0; i--, v >>= 4)
		block[i] = "0123456789abcdef"[v & 15];
}

int guest_main(void)
{
	u64 blocks = arg_u64("bytes", 1 << 20) / BLOCK, n, count;
	const char *from;

	memset(block, '.', BLOCK);
	for (n = LINE - 1; n < BLOCK; n += LINE)
		block[n] = '\n';
	for (n = 0; n < blocks; n++) {
		number(n);
		from = block;
		count = BLOCK;
		asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"((u16)COM1) : "memory");
	}
	return EXIT_PASS;
}
