// SPDX-License-Identifier: Apache-2.0
// fw_cfg: named blobs that a test guest reads through two ports. Selector at 0x510, data at 0x511.
//
// Reading only, byte by byte; the DMA interface is not offered. Past an item's end, and for unknown
// keys, the data are zeros.
#ifndef VMM_FWCFG_H
#define VMM_FWCFG_H

#include "dev.h"

enum {
	FWCFG_SIGNATURE = 0x00,
	FWCFG_ID = 0x01,
	FWCFG_RAM_SIZE = 0x03, // 8 bytes, little-endian
	FWCFG_CPUS = 0x05, // 2 bytes, little-endian
	FWCFG_MAX_CPUS = 0x0f, // the same size; on x86 one more than the largest APIC id
	FWCFG_DIRECTORY = 0x19,
	FWCFG_FILE_FIRST = 0x20,

	FWCFG_ITEMS = 96,
	FWCFG_NAME = 56, // bytes of a file name, terminator included
	FWCFG_ITEM_MAX = 1 << 24,
	FWCFG_STATE_VERSION = 1,
};

struct fwcfg_item {
	uint16_t key;
	uint32_t size;
	uint8_t *data; // owned
	char name[FWCFG_NAME]; // "" for items that are not files
};

struct fwcfg {
	struct dev dev;
	uint16_t key;
	uint32_t offset; // next byte of the selected item
	uint32_t count;
	struct fwcfg_item item[FWCFG_ITEMS];
};

struct fwcfg_state {
	uint32_t version;
	uint32_t key, offset;
};

struct fwcfg *fwcfg_create(void);
void fwcfg_destroy(struct fwcfg *f);
void fwcfg_reset(struct fwcfg *f);
// The selection only: the items come from the configuration.
void fwcfg_save(struct fwcfg *f, struct fwcfg_state *ret);
int fwcfg_load(struct fwcfg *f, const struct fwcfg_state *state);

// Adds an item, copied, or replaces one. 0, -EINVAL (too large), -ENOSPC, -ENOMEM.
int fwcfg_add(struct fwcfg *f, uint16_t key, const void *data, uint32_t size);
// The same for a file, which also appears in the directory. Returns its key; -EINVAL also for an
// empty or too long name, -EEXIST for one that is there.
int fwcfg_add_file(struct fwcfg *f, const char *name, const void *data, uint32_t size);

#endif
