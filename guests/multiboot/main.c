// SPDX-License-Identifier: Apache-2.0
// What a multiboot 1 loader handed over. Command line: modules=N and, for each, the text its file
// must begin with: module0=...
#include "guest.h"

#define MB_MEM (1 << 0)
#define MB_CMDLINE (1 << 2)
#define MB_MODS (1 << 3)
#define MB_MMAP (1 << 6)
#define LIMIT (1ull << 32)

static const struct mb_info *info;

static bool overlaps(u64 start, u64 end, u64 low, u64 high)
{
	return start < high && low < end;
}

static bool in_image(u64 start, u64 end)
{
	return overlaps(start, end, (u64)image_start, (u64)image_end);
}

static void magic(void)
{
	check_equal(boot_magic, MULTIBOOT_BOOTLOADER_MAGIC);
	check_equal(boot_kind, BOOT_MULTIBOOT);
	info = PTR(boot_info);
	check(boot_info != 0 && boot_info % 4 == 0);
	check(!in_image(boot_info, boot_info + sizeof(*info)));
}

static void memory_sizes(void)
{
	check(info->flags & MB_MEM);
	check(info->mem_lower >= 512 && info->mem_lower <= 640);
	check(info->mem_upper >= 1024);
	printf("# lower %u KiB, upper %u KiB\n", info->mem_lower, info->mem_upper);
}

static void command_line(void)
{
	check(info->flags & MB_CMDLINE);
	check(!in_image(info->cmdline, info->cmdline + strlen(cmdline)));
	check(cmdline[0] && cmdline[0] != ' '); // the first word is the program's name
	check(arg_flag("modules"));
}

static void modules(void)
{
	u64 n = arg_u64("modules", 0), i, k;
	const struct mb_module *m = PTR(info->mods_addr);
	char key[] = "module0", want[64];

	check_equal(info->flags & MB_MODS ? info->mods_count : 0, n);
	for (i = 0; i < n && i < info->mods_count; i++) {
		check(m[i].start < m[i].end);
		check(m[i].start % 4096 == 0);
		check(!in_image(m[i].start, m[i].end));
		for (k = 0; k < i; k++)
			check(!overlaps(m[i].start, m[i].end, m[k].start, m[k].end));
		printf("# module %lu: %x-%x \"%s\"\n", i, m[i].start, m[i].end,
		       (const char *)PTR(m[i].cmdline));
		key[6] = (char)('0' + i);
		check(arg_str(key, want, sizeof(want)));
		check(m[i].end - m[i].start >= strlen(want) &&
		      !memcmp(PTR(m[i].start), want, strlen(want)));
	}
}

static void memory_map(void)
{
	u64 at = info->mmap_addr, end = at + info->mmap_length, ram = 0;
	bool image_in_ram = false;

	check(info->flags & MB_MMAP);
	check(info->mmap_length >= sizeof(struct mb_mmap));
	while (at < end) {
		const struct mb_mmap *e = PTR(at);

		check(e->size >= 20);
		check(e->addr + e->len >= e->addr);
		printf("# %lx-%lx type %u\n", e->addr, e->addr + e->len, e->type);
		if (e->type == 1 && e->addr <= (u64)image_start &&
		    (u64)image_end <= e->addr + e->len)
			image_in_ram = true;
		if (e->type == 1 && e->addr >= 0x100000 && e->addr < LIMIT)
			ram += e->len >> 10;
		at += e->size + 4;
		if (e->size < 20)
			break;
	}
	check_equal(at, end);
	check(image_in_ram);
	check(ram >= info->mem_upper);
}

/* The loader has to clear what the file does not hold. */
static void bss(void)
{
	const u8 *p = (const u8 *)stacks + STACK_SIZE * 128;
	u32 i, dirty = 0;

	for (i = 0; i < 4096; i++)
		dirty += p[i] != 0;
	check_equal(dirty, 0);
}

const struct test tests[] = {
	{ "magic", magic },
	{ "memory-sizes", memory_sizes },
	{ "command-line", command_line },
	{ "modules", modules },
	{ "memory-map", memory_map },
	{ "bss", bss },
	{},
};
