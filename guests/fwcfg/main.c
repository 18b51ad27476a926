// SPDX-License-Identifier: Apache-2.0
// fw_cfg by port: selector 0x510, data 0x511 (QEMU's documented interface). Command line: mem=MiB,
// cpus=N.
#include "guest.h"

#define SELECTOR 0x510
#define DATA 0x511
#define KEY_SIGNATURE 0x00
#define KEY_ID 0x01
#define KEY_RAM_SIZE 0x03
#define KEY_CPUS 0x05
#define KEY_FILE_DIR 0x19
#define FILES_MAX 256

struct file {
	u32 size; /* big-endian */
	u16 select, reserved;
	char name[56];
};

static void get(u16 key, void *to, u32 n)
{
	u8 *p = to;

	outw(SELECTOR, key);
	while (n--)
		*p++ = inb(DATA);
}

static void signature(void)
{
	char s[5] = "";

	get(KEY_SIGNATURE, s, 4);
	check(!memcmp(s, "QEMU", 4));
	get(KEY_SIGNATURE, s, 4); // selecting rewinds
	check(!memcmp(s, "QEMU", 4));
}

static void id(void)
{
	u32 v = 0;

	get(KEY_ID, &v, 4);
	check(v & 1); // the port interface is there
}

static void ram_size(void)
{
	u64 v = 0;

	get(KEY_RAM_SIZE, &v, 8);
	check_equal(v, arg_u64("mem", 0) << 20);
}

static void cpus(void)
{
	u16 v = 0;

	get(KEY_CPUS, &v, 2);
	check_equal(v, arg_u64("cpus", 1));
}

static void past_the_end(void)
{
	char s[8];

	get(KEY_SIGNATURE, s, 8);
	check(!s[4] && !s[5] && !s[6] && !s[7]);
	get(0x3fff, s, 8); // no such key
	check(!s[0] && !s[7]);
}

static void directory(void)
{
	u32 count, i, k;
	struct file f;

	get(KEY_FILE_DIR, &count, 4);
	count = __builtin_bswap32(count);
	check(count <= FILES_MAX);
	for (i = 0; i < count && i < FILES_MAX; i++) {
		for (k = 0; k < sizeof(f); k++)
			((u8 *)&f)[k] = inb(DATA);
		check(__builtin_bswap16(f.select) >= 0x20);
		check(f.name[0] && !f.name[55]);
		printf("# %s: key %x, %u bytes\n", f.name, __builtin_bswap16(f.select),
		       __builtin_bswap32(f.size));
	}
}

const struct test tests[] = {
	{ "signature", signature },
	{ "id", id },
	{ "ram-size", ram_size },
	{ "cpus", cpus },
	{ "past-the-end", past_the_end },
	{ "directory", directory },
	{},
};
