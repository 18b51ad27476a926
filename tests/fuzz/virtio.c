// SPDX-License-Identifier: Apache-2.0
// A virtio function as its driver reaches it: registers of the modern or the legacy interface, the
// window in configuration space, queues in guest memory, states; in any order, with the loop's work
// done in between or late.
#include <linux/virtio_pci.h>

#include "fuzz.h"
#include "virtio_pci.h"

#define DEVFN 8u
#define RAM (64u << 10)
#define QUEUES 3u
#define DESC 0x0000u
#define AVAIL 0x1000u
#define USED 0x2000u
#define PER_QUEUE 0x4000u

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

static struct rig *rig_of(struct virtio_dev *d)
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

static void finish_stop(struct rig *r)
{
	MUST(r->stopped <= 1);
	if (r->stopped) {
		r->stopped = 0;
		virtio_stopped(&r->d);
		MUST(atomic_load(&r->d.phase) == VIRTIO_IDLE && !r->d.status && !r->d.acked);
	}
}

static void reset_device(struct rig *r)
{
	virtio_ask_reset(&r->d);
	virtio_service(&r->d);
	finish_stop(r);
}

static void set_up_queue(struct rig *r, struct input *in)
{
	struct virtio_queue *q = virtio_queue_at(&r->d, (uint32_t)take(in, 1) % QUEUES);
	uint64_t base = PER_QUEUE * q->index;

	LOCKED(&r->d.dev.lock);
	if (!virtio_queue_writable(q))
		return;
	q->size = 8;
	q->desc = base + DESC;
	q->avail = base + AVAIL;
	q->used = base + USED;
	virtio_queue_enable(q);
}

// What a good driver would do, as far as the others let it come.
static void probe(struct rig *r, struct input *in)
{
	reset_device(r);
	{
		LOCKED(&r->d.dev.lock);
		virtio_set_status(&r->d, 3);
		for (uint32_t word = 0; word < 2; word++)
			virtio_accept(&r->d, word, virtio_offered(&r->d, word));
		virtio_set_status(&r->d, 11);
	}
	for (uint32_t i = 0; i < QUEUES; i++)
		set_up_queue(r, in);
	LOCKED(&r->d.dev.lock);
	virtio_set_status(&r->d, 15);
}

static void poke_memory(struct rig *r, struct input *in)
{
	uint32_t at = (uint32_t)take(in, 2), len = (uint32_t)take(in, 1) % 32;

	take_into(in, r->ram + (at < RAM - 32 ? at : RAM - 32), len);
}

// A descriptor and a place in the available ring that make sense.
static void offer(struct rig *r, struct input *in)
{
	uint32_t queue = (uint32_t)take(in, 1) % QUEUES;
	uint8_t *base = r->ram + PER_QUEUE * queue;
	struct vring_desc *desc = (struct vring_desc *)(base + DESC) + take(in, 1) % 8;
	struct vring_avail *avail = (struct vring_avail *)(base + AVAIL);

	desc->addr = take(in, 2);
	desc->len = (uint32_t)take(in, 1);
	desc->flags = (uint16_t)(take(in, 1) & 7);
	desc->next = (uint16_t)(take(in, 1) % 8);
	avail->ring[avail->idx % 8] = (uint16_t)(desc - (struct vring_desc *)(base + DESC));
	avail->idx++;
	virtio_notify(&r->d, queue);
}

static void configure(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t size = 1u << (how >> 1 & 3);
	uint32_t offset = r->pci->access_cap + (uint32_t)take(in, 1) % 20;
	uint64_t value = UINT64_MAX;

	size = how & 8 ? 1 : size > 4 ? 4 : size;
	if (how & 1)
		pci_config_read(r->root, DEVFN, offset, size, &value);
	else
		MUST(!pci_config_write(r->root, DEVFN, offset, size, take(in, size)));
}

// The ports take the device's lock themselves, and a write of status 0 waits for the loop, which
// here is the same thread.
static void access_ports(struct rig *r, struct input *in)
{
	struct dev *dev = &r->pci->ports;
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t size = 1u << (how >> 1 & 3);
	uint64_t offset = take(in, 1) % (0x48 - size), value = UINT64_MAX;

	if (how & 1) {
		MUST(!dev->ops->read(dev, 0, offset, size, &value));
		return;
	}
	value = take(in, size);
	if (offset == VIRTIO_PCI_STATUS && size == 1 && !value)
		reset_device(r);
	MUST(!dev->ops->write(dev, 0, offset, size, value));
}

static void access_device(struct rig *r, struct input *in)
{
	const struct registers modern = { &r->d.dev, 4, 0x48, 8 };

	if (r->d.legacy)
		access_ports(r, in);
	else
		access_registers(in, &modern);
}

static void states(struct rig *r, struct input *in)
{
	struct virtio_state *state = malloc(sizeof(*state));
	struct virtio_pci *p = r->pci;

	MUST(state);
	if (!virtio_save(&r->d, state) && atomic_load(&r->d.phase) == VIRTIO_IDLE) {
		MUST(!virtio_load(&r->d, state));
		take_into(in, &state->acked, sizeof(state->acked));
		state->status = (uint8_t)take(in, 1);
		state->running = (uint8_t)take(in, 1);
		take_into(in, state->size, sizeof(state->size[0]) * QUEUES);
		take_into(in, state->desc, sizeof(state->desc[0]) * QUEUES);
		state->last_avail[0] = (uint16_t)take(in, 2);
		state->enabled[0] = state->enabled[1] = (uint8_t)take(in, 1);
		int err = virtio_load(&r->d, state);
		MUST(!err || err == -EINVAL);
	}
	FUZZ_STATE(virtio_pci, p, in);
	free(state);
}

static void loop_step(struct rig *r, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);

	switch (how % 6) {
	case 0:
		virtio_service(&r->d);
		break;
	case 1:
		if (virtio_queue_live(&r->d, (how >> 4) % QUEUES))
			kick(&r->d, (how >> 4) % QUEUES);
		break;
	case 2:
		finish_stop(r);
		break;
	case 3:
		virtio_ask_pause(&r->d);
		break;
	case 4:
		virtio_ask_resume(&r->d);
		break;
	default:
		virtio_config_changed(&r->d, how >> 4, "config", 6);
	}
}

static void one_step(struct rig *r, struct input *in)
{
	switch (take(in, 1) % 10) {
	case 0:
		probe(r, in);
		break;
	case 1:
		offer(r, in);
		break;
	case 2:
		poke_memory(r, in);
		break;
	case 3:
		configure(r, in);
		break;
	case 4:
		states(r, in);
		break;
	case 5:
	case 6:
		loop_step(r, in);
		break;
	default:
		access_device(r, in);
	}
}

static void build(struct rig *r, bool legacy)
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

static void tear_down(struct rig *r)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig r = { 0 };

	build(&r, take(&in, 1) & 1);
	while (in.left)
		one_step(&r, &in);
	tear_down(&r);
	return 0;
}
