// SPDX-License-Identifier: Apache-2.0
// What a PVH loader handed over: struct hvm_start_info. Command line: modules=N, module0=TEXT (the
// file begins with it), mem=MiB.
#include "guest.h"

#define CR4_PAE (1ull << 5)
#define CR4_MCE (1ull << 6) /* set where KVM shows its own bit */

static const struct pvh_start_info *info;

static bool in_image(u64 start, u64 end)
{
	return start < (u64)image_end && (u64)image_start < end;
}

static void magic(void)
{
	check_equal(boot_kind, BOOT_PVH);
	info = PTR(boot_info);
	check_equal(info->magic, PVH_MAGIC);
	check(info->version >= 1);
	check_equal(info->flags, 0);
	check(!in_image(boot_info, boot_info + sizeof(*info)));
}

static void command_line(void)
{
	check(info->cmdline_paddr != 0);
	check(!in_image(info->cmdline_paddr, info->cmdline_paddr + strlen(cmdline) + 1));
	check(arg_flag("modules"));
}

static void modules(void)
{
	const struct pvh_module *m = PTR(info->modlist_paddr);
	u64 n = arg_u64("modules", 0), i;
	char want[64], key[] = "module0";

	check_equal(info->nr_modules, n);
	for (i = 0; i < n && i < info->nr_modules; i++) {
		key[6] = (char)('0' + i);
		check(m[i].size && !in_image(m[i].paddr, m[i].paddr + m[i].size));
		check(arg_str(key, want, sizeof(want)));
		check(m[i].size >= strlen(want) && !memcmp(PTR(m[i].paddr), want, strlen(want)));
	}
}

static void memory_map(void)
{
	const struct pvh_mmap *map = PTR(info->memmap_paddr);
	u64 ram = 0, last = 0, mem = arg_u64("mem", 0) << 20;
	u32 i;

	check(info->memmap_paddr && info->memmap_entries >= 2);
	for (i = 0; i < info->memmap_entries; i++) {
		printf("# %lx-%lx type %u\n", map[i].addr, map[i].addr + map[i].size, map[i].type);
		check(map[i].addr >= last && map[i].size);
		last = map[i].addr + map[i].size;
		if (map[i].type == 1)
			ram += map[i].size;
	}
	if (mem)
		check(ram <= mem && ram + (1 << 20) >= mem);
}

static void rsdp(void)
{
	const struct acpi_rsdp *r = acpi_rsdp();

	check(info->rsdp_paddr != 0);
	check_equal((u64)r, info->rsdp_paddr);
}

/* The state the ABI promises, as far as it has survived start.S: paging and protection were ours to
 * set; interrupts were off. */
static void cpu_state(void)
{
	check(!(flags_read() & (1 << 9)));
	check_equal(READ_CR(0) & 1, 1);
	check_equal(READ_CR(4) & ~(CR4_PAE | CR4_MCE), 0);
}

const struct test tests[] = {
	{ "magic", magic },
	{ "command-line", command_line },
	{ "modules", modules },
	{ "memory-map", memory_map },
	{ "rsdp", rsdp },
	{ "cpu-state", cpu_state },
	{},
};
