// SPDX-License-Identifier: Apache-2.0
#include "fwcfg.h"

#include <stdlib.h>

#define ENTRY_BYTES (8 + FWCFG_NAME) // size, key, reserved, name

static struct fwcfg_item *find(struct fwcfg *f, uint32_t key)
{
	for (uint32_t i = 0; i < f->count; i++) {
		if (f->item[i].key == key)
			return &f->item[i];
	}
	return NULL;
}

static void put_be(uint8_t *at, uint32_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

// Byte `offset` of the directory: a big-endian count, then an entry for each file.
static uint8_t directory_byte(const struct fwcfg *f, uint32_t offset)
{
	uint8_t entry[ENTRY_BYTES] = { 0 };
	uint32_t files = 0;

	for (uint32_t i = 0; i < f->count; i++) {
		const struct fwcfg_item *item = &f->item[i];
		if (!item->name[0])
			continue;
		if (offset >= 4 && files == (offset - 4) / ENTRY_BYTES) {
			put_be(entry, item->size, 4);
			put_be(entry + 4, item->key, 2);
			memcpy(entry + 8, item->name, FWCFG_NAME);
			return entry[(offset - 4) % ENTRY_BYTES];
		}
		files++;
	}
	if (offset >= 4)
		return 0;
	put_be(entry, files, 4);
	return entry[offset];
}

static uint8_t next_byte(struct fwcfg *f)
{
	uint32_t at = f->offset;
	const struct fwcfg_item *item = find(f, f->key);

	if (f->offset < UINT32_MAX) // GUEST: may read on for ever
		f->offset++;
	if (f->key == FWCFG_DIRECTORY)
		return directory_byte(f, at);
	return item && at < item->size ? item->data[at] : 0;
}

// Two ports. A 16-bit write to the first selects; every byte read from the second is the item's
// next.
static int fwcfg_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct fwcfg *f = container_of(d, struct fwcfg, dev);

	(void)region;
	if (offset == 1 && size == 1)
		*ret = next_byte(f);
	else
		*ret = 0;
	return 0;
}

static int fwcfg_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	struct fwcfg *f = container_of(d, struct fwcfg, dev);

	(void)region;
	if (offset || size != 2)
		return 0; // data are read-only
	f->key = (uint16_t)value & (uint16_t)~0x4000; // GUEST: any key
	f->offset = 0;
	return 0;
}

static const struct dev_ops fwcfg_ops = { .read = fwcfg_read, .write = fwcfg_write };

struct fwcfg *fwcfg_create(void)
{
	static const uint8_t id[4] = { 1 }; // the traditional interface, no DMA
	struct fwcfg *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	dev_init(&f->dev, &fwcfg_ops, 0);
	if (fwcfg_add(f, FWCFG_SIGNATURE, "QEMU", 4) || fwcfg_add(f, FWCFG_ID, id, sizeof(id))) {
		fwcfg_destroy(f);
		return NULL;
	}
	return f;
}

void fwcfg_destroy(struct fwcfg *f)
{
	for (uint32_t i = 0; i < f->count; i++)
		free(f->item[i].data);
	dev_deinit(&f->dev);
	free(f);
}

void fwcfg_reset(struct fwcfg *f)
{
	LOCKED(&f->dev.lock);
	f->key = 0;
	f->offset = 0;
}

void fwcfg_save(struct fwcfg *f, struct fwcfg_state *ret)
{
	LOCKED(&f->dev.lock);
	*ret = (struct fwcfg_state){
		.version = FWCFG_STATE_VERSION,
		.key = f->key,
		.offset = f->offset,
	};
}

int fwcfg_load(struct fwcfg *f, const struct fwcfg_state *state)
{
	if (state->version != FWCFG_STATE_VERSION || state->key > 0xffff || state->key & 0x4000)
		return -EINVAL;
	LOCKED(&f->dev.lock);
	f->key = (uint16_t)state->key;
	f->offset = state->offset;
	return 0;
}

// Context: lock held, or not shared yet.
static int set_item(struct fwcfg *f, uint16_t key, const void *data, uint32_t size,
		    const char *name)
{
	struct fwcfg_item *item = find(f, key);

	if (size > FWCFG_ITEM_MAX)
		return -EINVAL;
	if (!item && f->count == FWCFG_ITEMS)
		return -ENOSPC;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, size);
	if (!item) {
		item = &f->item[f->count++];
		memset(item, 0, sizeof(*item));
		item->key = key;
		memcpy(item->name, name, strlen(name));
	}
	free(item->data);
	item->data = copy;
	item->size = size;
	return 0;
}

int fwcfg_add(struct fwcfg *f, uint16_t key, const void *data, uint32_t size)
{
	LOCKED(&f->dev.lock);
	return set_item(f, key, data, size, "");
}

int fwcfg_add_file(struct fwcfg *f, const char *name, const void *data, uint32_t size)
{
	uint16_t key = FWCFG_FILE_FIRST;

	if (!name[0] || strlen(name) >= FWCFG_NAME)
		return -EINVAL;
	LOCKED(&f->dev.lock);
	for (uint32_t i = 0; i < f->count; i++) {
		if (!strcmp(f->item[i].name, name))
			return -EEXIST;
		if (f->item[i].key >= key)
			key = (uint16_t)(f->item[i].key + 1);
	}
	int err = set_item(f, key, data, size, name);
	return err ? err : key;
}
