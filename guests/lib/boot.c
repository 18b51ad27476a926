// SPDX-License-Identifier: Apache-2.0
// Finds the command line wherever the boot protocol put it, and takes it apart.
#include "boot.h"

#define CMDLINE_SIZE 1024
#define LINUX_CMD_LINE_PTR 0x228 // offset in struct boot_params
#define LINUX_EXT_CMD_LINE_PTR 0xc8

char cmdline[CMDLINE_SIZE];

void boot_parse(void)
{
	const struct pvh_start_info *pvh = PTR(boot_info);
	const struct mb_info *mb = PTR(boot_info);
	const char *from = NULL;
	size_t i;

	switch (boot_kind) {
	case BOOT_MULTIBOOT:
		if (mb->flags & (1 << 2))
			from = PTR(mb->cmdline);
		break;
	case BOOT_PVH:
		if (pvh->magic == PVH_MAGIC)
			from = PTR(pvh->cmdline_paddr);
		break;
	case BOOT_LINUX64:
		from = PTR(*(u32 *)(boot_info + LINUX_CMD_LINE_PTR) |
			   (u64) * (u32 *)(boot_info + LINUX_EXT_CMD_LINE_PTR) << 32);
		break;
	}
	for (i = 0; from && from[i] && i < CMDLINE_SIZE - 1; i++)
		cmdline[i] = from[i];
}

/* The text after "key" if a word of the command line is "key" or begins with "key=". */
static const char *find(const char *key)
{
	const char *p = cmdline;
	size_t n = strlen(key);

	while (*p) {
		while (*p == ' ')
			p++;
		if (!memcmp(p, key, n) && (!p[n] || p[n] == ' ' || p[n] == '='))
			return p + n;
		while (*p && *p != ' ')
			p++;
	}
	return NULL;
}

bool arg_flag(const char *name)
{
	return find(name) != NULL;
}

u64 arg_u64(const char *key, u64 otherwise)
{
	const char *p = find(key);
	unsigned int base = 10, digit;
	u64 v = 0;

	if (!p || *p++ != '=')
		return otherwise;
	if (p[0] == '0' && p[1] == 'x') {
		base = 16;
		p += 2;
	}
	for (; *p && *p != ' '; p++) {
		digit = *p <= '9' ? (unsigned int)(*p - '0')
				  : (unsigned int)((*p | 0x20) - 'a' + 10);
		if (digit >= base)
			return otherwise;
		v = v * base + digit;
	}
	return v;
}

bool arg_lists(const char *key, const char *item)
{
	const char *p = find(key);
	size_t n = strlen(item);

	while (p && (*p == '=' || *p == ',')) {
		p++;
		if (!memcmp(p, item, n) && (!p[n] || p[n] == ' ' || p[n] == ','))
			return true;
		while (*p && *p != ' ' && *p != ',')
			p++;
	}
	return false;
}

bool arg_str(const char *key, char *ret, u32 size)
{
	const char *p = find(key);
	u32 i = 0;

	if (!p || *p++ != '=')
		return false;
	for (; p[i] && p[i] != ' ' && i < size - 1; i++)
		ret[i] = p[i];
	ret[i] = 0;
	return true;
}
