// SPDX-License-Identifier: Apache-2.0
// What the vCPUs of a VM share, and the draining of the coalesced ring.
#include <stdlib.h>

#include "pic.h"
#include "vcpu.h"

struct vmcore *vmcore_create(int vm_fd, struct bus *pio, struct bus *mmio)
{
	struct vmcore *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	kvmwait_init(&vm->wait, vm_fd);
	vm->pio = pio;
	vm->mmio = mmio;
	vm->ring = vmcore_no_ring(vm);
	pthread_mutex_init(&vm->ring_lock, NULL);
	if (bus_add_reader(pio, &vm->ring_pio) || bus_add_reader(mmio, &vm->ring_mmio)) {
		vmcore_destroy(vm);
		return NULL;
	}
	return vm;
}

void vmcore_destroy(struct vmcore *vm)
{
	bus_remove_reader(vm->pio, &vm->ring_pio);
	bus_remove_reader(vm->mmio, &vm->ring_mmio);
	pthread_mutex_destroy(&vm->ring_lock);
	kvmwait_deinit(&vm->wait);
	free(vm);
}

void vmcore_polls(struct vmcore *vm)
{
	vm->wait.polls = true;
}

int vmcore_ioctl(struct vmcore *vm, unsigned long request, void *argument)
{
	return kvmwait_ioctl(&vm->wait, request, argument);
}

// The PIC's output rose: the boot vCPU injects it before it runs on. Context: any thread, PIC lock
// held.
static void pic_intr(void *opaque, int level)
{
	struct vmcore *vm = opaque;

	if (level && vm->boot_vcpu)
		vcpu_kick(vm->boot_vcpu, VCPU_REQUEST_INTERRUPT);
}

void vmcore_set_split_irqchip(struct vmcore *vm, struct pic *pic, struct ioapic *ioapic)
{
	if (vm->pic)
		pic_set_intr(vm->pic, NULL, NULL);
	vm->pic = pic;
	vm->ioapic = ioapic;
	if (pic)
		pic_set_intr(pic, pic_intr, vm);
}

#define BURST 64 // queued bytes to one port that are handed over together

// Keeps what a device asks for in answer to a queued write; the boot vCPU returns with it. The
// first one counts: such wishes end the machine's present life. Context: ring_lock held.
static COLD void remember(struct vmcore *vm, int code, uint64_t address, uint64_t value)
{
	if (vm->asked.kind)
		return;
	vm->asked = (struct vcpu_event){ .kind = VCPU_DEVICE,
					 .exit_reason = KVM_EXIT_IO,
					 .code = code,
					 .address = address,
					 .value = value };
	if (vm->boot_vcpu)
		vcpu_kick(vm->boot_vcpu, VCPU_REQUEST_DEVICE);
}

bool vmcore_asked(struct vmcore *vm, struct vcpu_event *ret)
{
	LOCKED(&vm->ring_lock);
	if (!vm->asked.kind)
		return false;
	*ret = vm->asked;
	vm->asked.kind = 0;
	return true;
}

// Hands one queued write to its device. Context: ring_lock held.
static void replay(struct vmcore *vm, const struct kvm_coalesced_mmio *entry)
{
	uint32_t size = entry->len > 8 ? 8 : entry->len;
	uint64_t value = 0;
	int asked;

	memcpy(&value, entry->data, size);
	hist_add(&vm->coalesced_hist, entry->pio ? HIST_PIO_WRITE : HIST_MMIO_WRITE,
		 entry->phys_addr);
	if (entry->pio)
		asked = bus_write(vm->pio, &vm->ring_pio, entry->phys_addr, size, value);
	else
		asked = bus_write(vm->mmio, &vm->ring_mmio, entry->phys_addr, size, value);
	if (unlikely(asked > 0))
		remember(vm, asked, entry->phys_addr, value);
}

// The same for single bytes to one port, together if the device takes them so. Context: ring_lock
// held.
static void replay_bytes(struct vmcore *vm, uint64_t port, const uint8_t *bytes, uint32_t n)
{
	hist_add_many(&vm->coalesced_hist, HIST_PIO_WRITE, port, n);
	if (bus_write_burst(vm->pio, &vm->ring_pio, port, bytes, n)) {
		uint64_t other = atomic_exchange(&vm->unsettled, port + 1);
		if (other && other != port + 1)
			bus_settle(vm->pio, &vm->ring_pio, other - 1);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		int asked = bus_write_masked(vm->pio, &vm->ring_pio, port, 1, bytes[i]);
		if (unlikely(asked > 0))
			remember(vm, asked, port, bytes[i]);
	}
}

// Hands over the entries from `at` up to `end`, single bytes to the same port as one. Returns how
// many entries that were, at least one. Context: ring_lock held.
static uint32_t replay_run(struct vmcore *vm, uint32_t at, uint32_t end)
{
	const struct kvm_coalesced_mmio *first = &vm->ring->coalesced_mmio[at], *entry = first;
	uint8_t bytes[BURST];
	uint32_t n = 0;

	while (at != end && n < BURST && entry->pio && entry->len == 1 &&
	       entry->phys_addr == first->phys_addr) {
		bytes[n++] = entry->data[0];
		at = at + 1 == vm->ring_max ? 0 : at + 1;
		entry = &vm->ring->coalesced_mmio[at];
	}
	if (n > 1) {
		replay_bytes(vm, first->phys_addr, bytes, n);
		return n;
	}
	replay(vm, first);
	return 1;
}

uint32_t vmcore_take(struct vmcore *vm)
{
	uint32_t n = 0;

	if (!vmcore_queued(vm))
		return 0;
	LOCKED(&vm->ring_lock);
	struct kvm_coalesced_mmio_ring *ring = vm->ring;
	// What was queued before the caller's exit. Not what other vCPUs queue meanwhile: they
	// could keep us here for ever, and drain it themselves when they come out.
	uint32_t at = ring->first, end = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
	while (at != end) {
		uint32_t done = replay_run(vm, at, end);
		at = (at + done) % vm->ring_max;
		// Release: the kernel may reuse the slots only after we have read them. Not before
		// the devices have them either: whoever finds the ring empty must find them there.
		__atomic_store_n(&ring->first, at, __ATOMIC_RELEASE);
		n += done;
	}
	vm->coalesced += n;
	return n;
}

uint32_t vmcore_drain(struct vmcore *vm)
{
	uint32_t n = vmcore_take(vm);

	if (atomic_load(&vm->unsettled)) {
		LOCKED(&vm->ring_lock);
		vmcore_settle(vm, &vm->ring_pio);
	}
	return n;
}
