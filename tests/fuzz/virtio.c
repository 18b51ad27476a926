// SPDX-License-Identifier: Apache-2.0
// A virtio function as its driver reaches it: registers of the modern or the legacy interface, the
// window in configuration space, queues in guest memory, states; in any order, with the loop's work
// done in between or late.
#include "fuzz_function.h"

#define DESC 0x0000u
#define AVAIL 0x1000u
#define USED 0x2000u
#define PER_QUEUE 0x4000u

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
