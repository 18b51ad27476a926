// SPDX-License-Identifier: Apache-2.0
#include "split_sink.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct split_sink *split_sink_create(struct pic *pic, struct ioapic *ioapic)
{
	struct split_sink *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pic = pic;
	s->ioapic = ioapic;
	lock_init(&s->lock);
	return s;
}

void split_sink_destroy(struct split_sink *s)
{
	free(s);
}

static uint32_t pin_of(uint32_t gsi)
{
	return gsi ? gsi : 2;
}

static void split_set(void *chip, uint32_t gsi, int level)
{
	struct split_sink *s = chip;

	if (gsi == 2)
		return;
	if (gsi < PIC_LINES)
		pic_set_line(s->pic, gsi, level);
	ioapic_set_line(s->ioapic, pin_of(gsi), level);
}

static void resample(const struct intx *x)
{
	uint64_t one = 1;
	ssize_t n = write(x->resample_fd, &one, sizeof(one));

	(void)n; // full means signalled already
}

// Context of both: a chip's lock held. Whoever has a source there looks at it and triggers again.
static void line_ended(void *opaque, uint32_t line)
{
	struct split_sink *s = opaque;

	LOCKED(&s->lock);
	for (struct intx *x = s->intx; x; x = x->chip_next)
		if (x->pic == line)
			resample(x);
}

static void pin_ended(void *opaque, uint32_t pin)
{
	struct split_sink *s = opaque;

	LOCKED(&s->lock);
	for (struct intx *x = s->intx; x; x = x->chip_next)
		if (pin_of(x->gsi) == pin)
			resample(x);
}

// On the loop: the trigger was written.
static void triggered(void *opaque, uint32_t events)
{
	struct intx *x = opaque;
	struct split_sink *s = x->chip;
	uint64_t count;

	(void)events;
	if (read(x->trigger_fd, &count, sizeof(count)) != sizeof(count))
		return;
	pic_hold(s->pic, x->pic, true);
	ioapic_hold(s->ioapic, pin_of(x->gsi), true);
}

static int split_connect(void *chip, struct intx *x)
{
	struct split_sink *s = chip;

	if (x->gsi == 2)
		return -EINVAL;
	x->chip = s;
	int handle = loop_add(x->loop, x->trigger_fd, EPOLLIN, triggered, x);
	if (handle < 0)
		return handle;
	x->handle = handle;
	LOCKED(&s->lock);
	x->chip_next = s->intx;
	s->intx = x;
	return 0;
}

// Takes it off the list; whether others share its line and its pin.
static void unlist(struct split_sink *s, struct intx *x, bool *line, bool *pin)
{
	struct intx **at = &s->intx;

	*line = *pin = false;
	LOCKED(&s->lock);
	while (*at != x)
		at = &(*at)->chip_next;
	*at = x->chip_next;
	for (struct intx *other = s->intx; other; other = other->chip_next) {
		*line |= other->pic == x->pic;
		*pin |= other->gsi == x->gsi;
	}
}

static void split_disconnect(void *chip, struct intx *x)
{
	struct split_sink *s = chip;
	bool line, pin;

	loop_remove(x->loop, x->handle);
	unlist(s, x, &line, &pin);
	if (!line)
		pic_hold(s->pic, x->pic, false);
	if (!pin)
		ioapic_hold(s->ioapic, pin_of(x->gsi), false);
}

void split_sink_attach(struct split_sink *s, struct irq_hub *hub)
{
	pic_set_ended(s->pic, line_ended, s);
	ioapic_set_ended(s->ioapic, pin_ended, s);
	irq_hub_set_sink(hub, (struct irq_sink){
				      .set = split_set,
				      .chip = s,
				      .connect = split_connect,
				      .disconnect = split_disconnect,
			      });
}

void split_sink_detach(struct split_sink *s, struct irq_hub *hub)
{
	irq_hub_set_sink(hub, (struct irq_sink){ 0 });
	pic_set_ended(s->pic, NULL, NULL);
	ioapic_set_ended(s->ioapic, NULL, NULL);
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
