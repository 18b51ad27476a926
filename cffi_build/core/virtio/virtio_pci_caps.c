// SPDX-License-Identifier: Apache-2.0
// Capabilities of a virtio function (virtio 1.2, 4.1.4), and its registers through the last of
// them: a window in configuration space for who cannot map memory (4.1.4.9).
#include <stdlib.h>

#include "virtio_pci_impl.h"

#define DATA offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)

// What the driver has aimed the window at. False: not at a register of ours. GUEST: all of it.
static bool aimed_at(struct virtio_pci *p, uint32_t *region, uint64_t *offset, uint32_t *size)
{
	const struct pci_func *f = p->func;
	uint64_t bar = pci_get(f, p->access_cap + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t at = pci_get(f, p->access_cap + VIRTIO_PCI_CAP_OFFSET, 4);
	uint64_t length = pci_get(f, p->access_cap + VIRTIO_PCI_CAP_LENGTH, 4);

	*region = (uint32_t)(at / VIRTIO_PCI_PART);
	*offset = at % VIRTIO_PCI_PART;
	*size = (uint32_t)length;
	return bar == p->window_bar && (length == 1 || length == 2 || length == 4) &&
	       at % length == 0 && *region <= VIRTIO_PCI_NOTIFY_REGION;
}

static void window_reading(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct virtio_pci *p = opaque;
	struct dev *dev = &p->d->dev;
	uint64_t at, value = UINT64_MAX;
	uint32_t region, width;

	if (offset + size <= p->access_cap + DATA)
		return;
	LOCKED(&dev->lock);
	if (aimed_at(p, &region, &at, &width))
		dev->ops->read(dev, region, at, width, &value);
	else
		virtio_ignore(p->d);
	pci_set(f, p->access_cap + DATA, 4, value);
}

static void window_written(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size)
{
	struct virtio_pci *p = opaque;
	struct dev *dev = &p->d->dev;
	uint64_t at;
	uint32_t region, width;

	if (offset != p->access_cap + DATA)
		return; // the aim, or the whole capability after a reset
	LOCKED(&dev->lock);
	if (aimed_at(p, &region, &at, &width) && size >= width)
		dev->ops->write(dev, region, at, width, pci_get(f, offset, width));
	else
		virtio_ignore(p->d);
}

static const struct pci_cap_ops window_ops = { window_reading, window_written };

struct place {
	uint8_t type; // VIRTIO_PCI_CAP_*
	uint32_t bar;
	uint32_t offset, length;
};

// The offset of the new capability of `len` bytes, or -ENOSPC.
static int add(struct pci_func *f, const struct place *place, uint32_t len,
	       const struct pci_cap_ops *ops, void *opaque)
{
	int at = pci_add_capability(f, PCI_CAP_ID_VNDR, len, ops, opaque);

	if (at < 0)
		return at;
	uint32_t cap = (uint32_t)at;
	pci_set(f, cap + VIRTIO_PCI_CAP_LEN, 1, len);
	pci_set(f, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1, place->type);
	pci_set(f, cap + VIRTIO_PCI_CAP_BAR, 1, place->bar);
	pci_set(f, cap + VIRTIO_PCI_CAP_OFFSET, 4, place->offset);
	pci_set(f, cap + VIRTIO_PCI_CAP_LENGTH, 4, place->length);
	return at;
}

static int add_notify(struct virtio_pci *p, uint32_t bar, uint32_t offset)
{
	const struct place place = {
		VIRTIO_PCI_CAP_NOTIFY_CFG,
		bar,
		offset,
		p->d->queue_count * VIRTIO_PCI_NOTIFY_STEP,
	};
	int at = add(p->func, &place, sizeof(struct virtio_pci_notify_cap), NULL, NULL);

	if (at >= 0)
		pci_set(p->func, (uint32_t)at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4,
			VIRTIO_PCI_NOTIFY_STEP);
	return at;
}

static int add_window(struct virtio_pci *p)
{
	const struct place place = { VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0 };
	int at = add(p->func, &place, sizeof(struct virtio_pci_cfg_cap), &window_ops, p);

	if (at < 0)
		return at;
	p->access_cap = (uint32_t)at;
	pci_set_wmask(p->func, p->access_cap + VIRTIO_PCI_CAP_BAR, 1, 0xff);
	pci_set_wmask(p->func, p->access_cap + VIRTIO_PCI_CAP_OFFSET, 8, UINT64_MAX);
	pci_set_wmask(p->func, p->access_cap + DATA, 4, UINT32_MAX);
	return 0;
}

static int add_capabilities(struct virtio_pci *p, uint32_t notify_bar)
{
	const struct place places[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, p->window_bar,
		  VIRTIO_PCI_COMMON_REGION * VIRTIO_PCI_PART, VIRTIO_PCI_COMMON_Q_RESET + 2 },
		{ VIRTIO_PCI_CAP_ISR_CFG, p->window_bar, VIRTIO_PCI_ISR_REGION * VIRTIO_PCI_PART,
		  1 },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, p->window_bar,
		  VIRTIO_PCI_DEVICE_REGION * VIRTIO_PCI_PART, p->d->config_len },
	};
	// A device without configuration has no structure for it (4.1.4.6.1).
	size_t count = ARRAY_LEN(places) - (p->d->config_len ? 0 : 1);
	int err = 0;

	for (size_t i = 0; i < count && err >= 0; i++)
		err = add(p->func, &places[i], sizeof(struct virtio_pci_cap), NULL, NULL);
	// Drivers take the first place of a kind that they can use (4.1.4.1).
	if (err >= 0 && notify_bar != p->window_bar)
		err = add_notify(p, notify_bar, 0);
	if (err >= 0)
		err = add_notify(p, p->window_bar, VIRTIO_PCI_NOTIFY_REGION * VIRTIO_PCI_PART);
	return err < 0 ? err : add_window(p);
}

// Context: the root's lock held.
static void function_changed(void *opaque, struct pci_func *f)
{
	struct virtio_pci *p = opaque;
	bool master = pci_bus_master(f), vectors = virtio_pci_msix_on(p);

	LOCKED(&p->d->dev.lock);
	if (p->master == master && p->vectors == vectors)
		return;
	p->master = master;
	p->vectors = vectors;
	virtio_transport_changed(p->d);
}

struct virtio_pci *virtio_pci_create(const struct virtio_pci_setup *setup)
{
	struct virtio_pci *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->d = setup->d;
	p->func = setup->func;
	p->msix = setup->msix;
	p->window_bar = setup->window_bar;
	dev_init(&p->ports, &virtio_legacy_ops, DEV_UPCALL);
	if (!setup->legacy && add_capabilities(p, setup->notify_bar)) {
		free(p);
		errno = ENOSPC;
		return NULL;
	}
	for (uint32_t i = 0; i < VIRTIO_MAX_QUEUES; i++)
		atomic_init(&p->queue_vector[i], VIRTIO_MSI_NO_VECTOR);
	atomic_init(&p->config_vector, VIRTIO_MSI_NO_VECTOR);
	pci_watch(p->func, function_changed, p);
	p->d->dev.ops = &virtio_pci_ops;
	virtio_connect(p->d, &virtio_pci_transport, p, setup->legacy);
	return p;
}

void virtio_pci_destroy(struct virtio_pci *p)
{
	dev_deinit(&p->ports);
	free(p);
}

void virtio_pci_save(struct virtio_pci *p, struct virtio_pci_state *ret)
{
	LOCKED(&p->d->dev.lock);
	*ret = (struct virtio_pci_state){
		.version = VIRTIO_PCI_STATE_VERSION,
		.feature_word = p->feature_word,
		.accept_word = p->accept_word,
		.queue_select = p->queue_select,
		.config_vector = atomic_load(&p->config_vector),
		.isr = p->isr,
	};
	for (uint32_t i = 0; i < VIRTIO_MAX_QUEUES; i++)
		ret->queue_vector[i] = atomic_load(&p->queue_vector[i]);
}

int virtio_pci_load(struct virtio_pci *p, const struct virtio_pci_state *state)
{
	if (state->version != VIRTIO_PCI_STATE_VERSION)
		return -EINVAL;
	LOCKED(&p->d->dev.lock);
	p->feature_word = state->feature_word;
	p->accept_word = state->accept_word;
	p->queue_select = state->queue_select;
	p->isr = state->isr;
	atomic_store(&p->config_vector,
		     state->config_vector); // vectors that do not exist do nothing
	for (uint32_t i = 0; i < VIRTIO_MAX_QUEUES; i++)
		atomic_store(&p->queue_vector[i], state->queue_vector[i]);
	return 0;
}
