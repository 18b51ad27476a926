// SPDX-License-Identifier: Apache-2.0
#include "xenpirq.h"

#include "xenfetch.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { XEN_PHYSDEV_OP = 33, PHYSDEVOP_eoi = 12 }; // Xen's public interface

static struct xenpirq_bound bound_to(struct xenpirq *p, uint32_t gsi)
{
	LOCKED(&p->lock);
	return p->gsi[gsi];
}

static bool is_on(const struct intx *x, uint32_t gsi)
{
	return x->gsi == gsi || x->pic == gsi;
}

// A source's pin may be bound by either chip's number for it.
static struct xenpirq_bound bound_source(struct xenpirq *p, const struct intx *x)
{
	struct xenpirq_bound to = bound_to(p, x->gsi);

	return to.port || x->pic >= IRQ_HUB_GSIS ? to : bound_to(p, x->pic);
}

// KVM sets the bit and tells the vCPU. A port that has just been closed is told once too often.
static void send(struct xenpirq *p, struct xenpirq_bound to)
{
	struct kvm_irq_routing_xen_evtchn event = {
		.port = to.port,
		.vcpu = to.vcpu,
		.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
	};

	count_add(&p->events, 1);
	// Fails only while the domain has no shared_info, and so nowhere to note it.
	if (p->vm_fd >= 0)
		ioctl(p->vm_fd, KVM_XEN_HVM_EVTCHN_SEND, &event);
}

static void set_chip(struct xenpirq *p, uint32_t gsi, int level)
{
	if (p->inner.set)
		p->inner.set(p->inner.chip, gsi, level);
}

static void pirq_set(void *chip, uint32_t gsi, int level)
{
	struct xenpirq *p = chip;
	struct xenpirq_bound to = bound_to(p, gsi);

	if (!to.port)
		set_chip(p, gsi, level);
	else if (level)
		send(p, to);
}

// On the loop: the trigger of a source on a bound GSI was written.
static void triggered(void *opaque, uint32_t events)
{
	struct intx *x = opaque;
	struct xenpirq *p = x->chip;
	uint64_t count;

	(void)events;
	if (read(x->trigger_fd, &count, sizeof(count)) != sizeof(count))
		return;
	struct xenpirq_bound to = bound_source(p, x);
	if (to.port)
		send(p, to);
}

static int pirq_connect(void *chip, struct intx *x)
{
	struct xenpirq *p = chip;

	if (!bound_source(p, x).port)
		return p->inner.connect ? p->inner.connect(p->inner.chip, x) : -EOPNOTSUPP;
	x->chip = p;
	x->handle = loop_add(x->loop, x->trigger_fd, EPOLLIN, triggered, x);
	if (x->handle >= 0)
		return 0;
	x->chip = NULL;
	return x->handle;
}

static void pirq_disconnect(void *chip, struct intx *x)
{
	struct xenpirq *p = chip;

	if (x->chip != p) {
		p->inner.disconnect(p->inner.chip, x);
		return;
	}
	loop_remove(x->loop, x->handle);
	x->chip = NULL;
}

struct xenpirq *xenpirq_create(struct irq_hub *hub, int vm_fd)
{
	struct xenpirq *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->hub = hub;
	p->vm_fd = vm_fd;
	p->inner = hub->sink;
	irq_hub_set_sink(hub, (struct irq_sink){
				      .set = pirq_set,
				      .chip = p,
				      .connect = pirq_connect,
				      .disconnect = pirq_disconnect,
			      });
	return p;
}

void xenpirq_destroy(struct xenpirq *p)
{
	if (p->hub->sink.chip == p) // the chip may have gone before
		irq_hub_set_sink(p->hub, p->inner);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

// Whoever has a source on the GSI looks at it, and triggers again. Context: the hub's lock.
static void signal_sources(struct xenpirq *p, uint32_t gsi)
{
	uint64_t one = 1;

	for (struct intx *x = p->hub->intx; x; x = x->next) {
		if (is_on(x, gsi)) {
			ssize_t n = write(x->resample_fd, &one, sizeof(one));
			(void)n; // full means signalled already
		}
	}
}

static void store(struct xenpirq *p, uint32_t gsi, struct xenpirq_bound to)
{
	LOCKED(&p->lock);
	p->gsi[gsi] = to;
}

// The GSI goes to the other side. Context: the hub's lock.
static void change_side(struct xenpirq *p, uint32_t gsi, struct xenpirq_bound to)
{
	for (struct intx *x = p->hub->intx; x; x = x->next) {
		if (is_on(x, gsi))
			intx_disconnect(x);
	}
	if (to.port)
		set_chip(p, gsi, 0);
	store(p, gsi, to);
	for (struct intx *x = p->hub->intx; x; x = x->next) {
		if (is_on(x, gsi))
			intx_connect(x);
	}
	if (p->hub->high[gsi])
		pirq_set(p, gsi, 1);
	signal_sources(p, gsi);
}

int xenpirq_bind(struct xenpirq *p, uint32_t gsi, uint32_t port, uint32_t vcpu)
{
	struct xenpirq_bound to = { port, vcpu };

	if (gsi >= IRQ_HUB_GSIS)
		return -EINVAL;
	LOCKED(&p->hub->lock);
	if (!p->gsi[gsi].port == !port)
		store(p, gsi, to);
	else
		change_side(p, gsi, to);
	return 0;
}

void xenpirq_eoi(struct xenpirq *p, uint32_t gsi)
{
	if (gsi >= IRQ_HUB_GSIS)
		return;
	LOCKED(&p->hub->lock);
	if (!p->gsi[gsi].port)
		return;
	if (p->hub->high[gsi])
		send(p, p->gsi[gsi]);
	signal_sources(p, gsi);
}

void xenpirq_set_level(struct xenpirq *p, uint32_t pirq, int gsi)
{
	atomic_store(&p->level[pirq], (uint32_t)(gsi + 1));
}

void xenpirq_pass_all(struct xenpirq *p)
{
	atomic_store(&p->pass_all, true);
}

// The exit is a hypercall that Python need not know of. Whatever is wrong with it is Python's.
static bool answer_eoi(struct vcpu *v)
{
	struct xenpirq *p = v->xen_answerer;
	struct kvm_run *run = v->run;
	struct xenfetch where = { p->memory, p->dev, v->fd, run->xen.u.hcall.longmode };
	uint32_t pirq;

	// GUEST: registers of a hypercall. KVM wrote them here; the guest cannot change them again.
	if (run->xen.u.hcall.input != XEN_PHYSDEV_OP || run->xen.u.hcall.cpl ||
	    (uint32_t)run->xen.u.hcall.params[0] != PHYSDEVOP_eoi || atomic_load(&p->pass_all) ||
	    xenfetch(&where, run->xen.u.hcall.params[1], &pirq, sizeof(pirq)) ||
	    pirq >= ROUTER_PIRQS)
		return false;
	uint32_t level = atomic_load(&p->level[pirq]);
	if (!level)
		return false;
	xenpirq_eoi(p, level - 1);
	count_add(&p->eois, 1);
	run->xen.u.hcall.result = 0;
	return true;
}

void xenpirq_answer(struct xenpirq *p, struct vcpu *v, struct gmem *memory, struct gmem_dev *dev)
{
	p->memory = memory;
	p->dev = dev;
	v->xen_answerer = p;
	v->xen_answer = answer_eoi;
}
