// SPDX-License-Identifier: Apache-2.0
// Interrupt pins as event channels of a Xen domain that KVM serves: where a guest has bound a GSI,
// a line that rises is an event, and the interrupt chips do not hear of it (Xen's assert_gsi()).
//
// It stands between the hub and the chip behind it. A level that is still up when the guest says
// that it has served the interrupt is another event. Sources behind eventfds (intx.h) are served by
// the loop meanwhile, and signalled then, as the chips' EOI does it.
#ifndef VMM_XENPIRQ_H
#define VMM_XENPIRQ_H

#include "gmem.h"
#include "intx.h"
#include "router.h"
#include "vcpu.h"

struct xenpirq_bound {
	uint32_t port; // 0: the GSI goes to the chip
	uint32_t vcpu; // KVM's number
};

struct xenpirq {
	struct irq_hub *hub;
	struct irq_sink inner; // the chip
	int vm_fd; // -1: no KVM (tests)
	struct gmem *memory; // where arguments of calls are, once xenpirq_answer() has said
	struct gmem_dev *dev;
	pthread_mutex_t lock; // a leaf; the loop takes it without the hub's
	struct xenpirq_bound gsi[IRQ_HUB_GSIS]; // changed under the hub's lock, too
	_Atomic uint32_t level[ROUTER_PIRQS]; // the GSI + 1 of a PIRQ that is a level, else 0
	atomic_bool pass_all; // Python answers every call
	_Atomic uint64_t events, eois;
};

// The hub's sink is the chip's already. NULL: no memory.
struct xenpirq *xenpirq_create(struct irq_hub *hub, int vm_fd);
void xenpirq_destroy(struct xenpirq *p);
// Any thread but the loop's. port 0: the chip has the GSI again. -EINVAL: there is no such GSI.
int xenpirq_bind(struct xenpirq *p, uint32_t gsi, uint32_t port, uint32_t vcpu);
// The guest has served the interrupt.
void xenpirq_eoi(struct xenpirq *p, uint32_t gsi);
// Each interrupt that is a level is a call, PHYSDEVOP_eoi: the vCPU's are answered here, without
// Python, for PIRQs that are known to stand for a level's GSI.
void xenpirq_answer(struct xenpirq *p, struct vcpu *v, struct gmem *memory, struct gmem_dev *dev);
// The PIRQ, below ROUTER_PIRQS, stands for the GSI; -1: for no level. Any thread.
void xenpirq_set_level(struct xenpirq *p, uint32_t pirq, int gsi);
void xenpirq_pass_all(struct xenpirq *p);

#endif
