// SPDX-License-Identifier: Apache-2.0
// A virtio device behind PCI that answers each chain with as many bytes as it has room for, and
// stops when it is told to.
#ifndef FUZZ_FUNCTION_H
#define FUZZ_FUNCTION_H

#include <linux/virtio_pci.h>

#include "fuzz.h"
#include "virtio_pci.h"

#define DEVFN 8u
#define RAM (64u << 10)
#define QUEUES 3u

struct rig {
	struct virtio_dev d;
	struct gmem *mem;
	struct loop *loop;
	struct irq_router *router;
	struct irq_hub *hub;
	struct msix *msix;
	struct pci_func *func;
	struct pci_root *root;
	struct virtio_pci *pci;
	uint8_t *ram;
	uint32_t stopped; // stop() calls not answered yet
	uint32_t config_writes;
};

static inline struct rig *rig_of(struct virtio_dev *d)
{
	return container_of(d, struct rig, d);
}

// Answers each chain with as many bytes as it has room for.
static void kick(struct virtio_dev *d, uint32_t queue)
{
	struct iovec piece[VQ_MAX_SIZE];
	struct vq_chain chain = { .piece = piece, .cap = VQ_MAX_SIZE };
	struct vq *q = &d->queue[queue].vq;
	int got = 0;

	MUST(virtio_queue_live(d, queue));
	for (int i = 0; i < 64 && (got = vq_pop(q, &chain)) > 0; i++) {
		for (uint32_t p = 0; p < chain.in_count; p++)
			memset(piece[chain.out_count + p].iov_base, 0x5a,
			       piece[chain.out_count + p].iov_len);
		vq_push(q, chain.head, (uint32_t)chain.in_len);
	}
	if (got < 0)
		virtio_needs_reset(d, VIRTIO_FAULT_RING);
	if (vq_flush(q))
		virtio_interrupt(d, queue);
	vq_kicks_on(q);
}

// Late, as a device with requests under way.
static void stop(struct virtio_dev *d)
{
	rig_of(d)->stopped++;
}

static void config_written(struct virtio_dev *d, uint32_t offset, uint32_t size)
{
	MUST(offset < d->config_len && size <= d->config_len - offset);
	rig_of(d)->config_writes++;
}

static bool features_ok(struct virtio_dev *d, uint64_t features)
{
	(void)d;
	return !(features & 2) || features & 1;
}

static const struct virtio_ops ops = {
	.kick = kick,
	.stop = stop,
	.config_written = config_written,
	.features_ok = features_ok,
};

static inline void finish_stop(struct rig *r)
{
	MUST(r->stopped <= 1);
	if (r->stopped) {
		r->stopped = 0;
		virtio_stopped(&r->d);
		MUST(atomic_load(&r->d.phase) == VIRTIO_IDLE && !r->d.status && !r->d.acked);
	}
}

static inline void reset_device(struct rig *r)
{
	virtio_ask_reset(&r->d);
	virtio_service(&r->d);
	finish_stop(r);
}

static inline void build(struct rig *r, bool legacy)
{
	static const uint16_t sizes[QUEUES] = { 8, 64, 1024 };
	const struct pci_ident ident = { .vendor = 0x1af4, .device = 0x1041, .pin = 1 };

	r->mem = gmem_create();
	r->loop = loop_create();
	r->router = router_create(-1);
	r->hub = irq_hub_create();
	r->msix = msix_create(r->router, -1, QUEUES + 1);
	r->func = pci_func_create(&ident);
	r->root = pci_root_create(NULL, 0, NULL, NULL);
	r->ram = calloc(1, RAM);
	MUST(r->mem && r->loop && r->router && r->msix && r->func && r->root && r->ram);
	MUST(!gmem_add(r->mem, 0, RAM, r->ram, 0));
	const struct virtio_setup setup = {
		.device_id = 1,
		.features = 7,
		.queue_count = QUEUES,
		.queue_size = sizes,
		.config_len = 21,
		.mem = r->mem,
		.loop = r->loop,
		.ops = &ops,
	};
	MUST(!virtio_init(&r->d, &setup));
	memset(r->d.config_wmask, 0xff, 8);
	const struct virtio_pci_setup transport = {
		.d = &r->d, .func = r->func, .msix = r->msix, .notify_bar = 2, .legacy = legacy
	};
	r->pci = virtio_pci_create(&transport);
	MUST(r->pci);
	pci_intx_connect(r->func, r->hub, 16, IRQ_HUB_GSIS);
	MUST(!pci_plug(r->root, r->func, DEVFN));
	MUST(!pci_config_write(r->root, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MASTER));
}

static inline void tear_down(struct rig *r)
{
	pci_unplug(r->func);
	reset_device(r);
	MUST(!virtio_wait_idle(&r->d, 0) && !r->d.status && !r->hub->high[16]);
	virtio_pci_destroy(r->pci);
	virtio_deinit(&r->d);
	pci_root_destroy(r->root);
	pci_func_destroy(r->func);
	msix_destroy(r->msix);
	irq_hub_destroy(r->hub);
	router_destroy(r->router);
	loop_destroy(r->loop);
	gmem_destroy(r->mem);
	free(r->ram);
}

#endif
