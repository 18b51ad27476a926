// SPDX-License-Identifier: Apache-2.0
#include "irq.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "intx.h"

struct irq_hub *irq_hub_create(void)
{
	struct irq_hub *h = calloc(1, sizeof(*h));

	if (h)
		pthread_mutex_init(&h->lock, NULL);
	return h;
}

void irq_hub_destroy(struct irq_hub *h)
{
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void irq_hub_set_sink(struct irq_hub *h, struct irq_sink sink)
{
	LOCKED(&h->lock);
	for (struct intx *x = h->intx; x; x = x->next)
		intx_disconnect(x);
	h->sink = sink;
	for (struct intx *x = h->intx; x; x = x->next)
		intx_connect(x);
}

static void kernel_set(void *chip, uint32_t gsi, int level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = (uint32_t)level };

	// Fails only if the VM has no irqchip, which creation of the machine has made sure of.
	ioctl((int)(intptr_t)chip, KVM_IRQ_LINE, &line);
}

// The line stays high from the eventfd's count until the guest's EOI, which lowers it and signals
// the other eventfd: all in the kernel.
static int kernel_irqfd(void *chip, const struct intx *x, uint32_t flags)
{
	struct kvm_irqfd arg = {
		.fd = (uint32_t)x->trigger_fd,
		.gsi = x->gsi,
		.flags = flags | KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = (uint32_t)x->resample_fd,
	};

	return ioctl((int)(intptr_t)chip, KVM_IRQFD, &arg) < 0 ? -errno : 0;
}

static int kernel_connect(void *chip, struct intx *x)
{
	return kernel_irqfd(chip, x, 0);
}

static void kernel_disconnect(void *chip, struct intx *x)
{
	kernel_irqfd(chip, x, KVM_IRQFD_FLAG_DEASSIGN);
}

void irq_hub_use_kernel(struct irq_hub *h, int vm_fd)
{
	irq_hub_set_sink(h, (struct irq_sink){
				    .set = kernel_set,
				    .chip = (void *)(intptr_t)vm_fd,
				    .connect = kernel_connect,
				    .disconnect = kernel_disconnect,
			    });
}

void irq_line_init(struct irq_line *l, struct irq_hub *h, uint32_t gsi)
{
	*l = (struct irq_line){ .hub = gsi < IRQ_HUB_GSIS ? h : NULL, .gsi = gsi };
}

void irq_line_set(struct irq_line *l, int level)
{
	struct irq_hub *h = l->hub;

	if (!h || l->level == (uint32_t)level)
		return;
	l->level = (uint32_t)level;

	LOCKED(&h->lock);
	uint16_t was = h->high[l->gsi];
	h->high[l->gsi] = (uint16_t)(level ? was + 1 : was - 1);
	if (!was)
		count_add(&h->raised[l->gsi], 1);
	if ((was == 0 || h->high[l->gsi] == 0) && h->sink.set)
		h->sink.set(h->sink.chip, l->gsi, level);
}
