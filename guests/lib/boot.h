/* SPDX-License-Identifier: Apache-2.0 */
/* How the guest was entered and what it was told. */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#define BOOT_RAW 0 /* nothing known: entered by a loader that follows no protocol */
#define BOOT_MULTIBOOT 1 /* multiboot 1: EBX -> struct mb_info */
#define BOOT_PVH 2 /* EBX -> struct hvm_start_info */
#define BOOT_LINUX64 3 /* 64-bit Linux boot protocol: RSI -> struct boot_params */

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002
#define PVH_MAGIC 0x336ec578

#define CODE64 0x08
#define DATA64 0x10
#define CODE32 0x18
#define USER_DATA 0x23 /* SYSRET wants user data just below user code */
#define USER_CODE 0x2b
#define TSS_SEL 0x30

#define STACK_SHIFT 12
#define STACK_SIZE (1 << STACK_SHIFT)
#define MAX_CPUS 256
#define TRAMPOLINE 0x8000 /* page the APs start on; SIPI vector 8 */

#ifndef __ASSEMBLER__
#include "types.h"

struct mb_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB */
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
};

struct mb_module {
	u32 start, end, cmdline, reserved;
};

struct mb_mmap {
	u32 size; /* of what follows */
	u64 addr, len;
	u32 type;
} __attribute__((packed));

struct pvh_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist_paddr, cmdline_paddr, rsdp_paddr;
	u64 memmap_paddr; /* version 1 on */
	u32 memmap_entries, reserved;
};

struct pvh_module {
	u64 paddr, size, cmdline_paddr, reserved;
};

struct pvh_mmap {
	u64 addr, size;
	u32 type, reserved;
};

extern u32 boot_kind, boot_magic;
extern u64 boot_info;
extern char cmdline[];
extern char image_start[], image_end[];

void boot_parse(void);

/* Command line: words separated by blanks, "flag" or "key=value". */
bool arg_flag(const char *name);
u64 arg_u64(const char *key, u64 otherwise);
/* True if the comma separated value of `key` holds `item`. */
bool arg_lists(const char *key, const char *item);
/* Copies the value of `key` to `ret`, cut to size; false if there is none. */
bool arg_str(const char *key, char *ret, u32 size);
#endif
#endif
