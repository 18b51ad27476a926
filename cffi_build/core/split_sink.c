// SPDX-License-Identifier: Apache-2.0
#include "split_sink.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

struct split_sink *split_sink_create(struct pic *pic, struct ioapic *ioapic)
{
	struct split_sink *s = calloc(1, sizeof(*s));

	if (s)
		*s = (struct split_sink){ pic, ioapic };
	return s;
}

void split_sink_destroy(struct split_sink *s)
{
	free(s);
}

static void split_set(void *chip, uint32_t gsi, int level)
{
	struct split_sink *s = chip;

	if (gsi == 2)
		return;
	if (gsi < PIC_LINES)
		pic_set_line(s->pic, gsi, level);
	ioapic_set_line(s->ioapic, gsi ? gsi : 2, level);
}

void split_sink_attach(struct split_sink *s, struct irq_hub *hub)
{
	irq_hub_set_sink(hub, (struct irq_sink){ split_set, s });
}

void split_sink_detach(struct split_sink *s, struct irq_hub *hub)
{
	(void)s;
	irq_hub_set_sink(hub, (struct irq_sink){ NULL, NULL });
}

static int signal_msi(void *opaque, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};
	int result = ioctl((int)(intptr_t)opaque, KVM_SIGNAL_MSI, &msi);

	return result < 0 ? -errno : result;
}

void ioapic_use_kvm(struct ioapic *a, int vm_fd)
{
	ioapic_set_msi(a, signal_msi, (void *)(intptr_t)vm_fd);
}
