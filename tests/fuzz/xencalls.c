// SPDX-License-Identifier: Apache-2.0
// Hypercalls of a Xen domain without KVM's help: registers, structures in memory and a port table
// as they come, with something that answers KVM's ioctls in its place.
#define _GNU_SOURCE
#include <sys/mman.h>

#include "fuzz_kvm.h"
#include "fuzz_loop.h"
#include "xenpirq.h"
#include "xenus.h"

#define ERRORS 95 // the largest of Xen's

struct rig {
	struct ticker ticker;
	struct fake_kvm kvm;
	struct vmcore vm;
	struct xenus *x;
	struct irq_hub *hub;
	struct xenpirq *pins;
	uint8_t *ram;
	int kick, call, raise, lowered;
};

void vcpu_kick(struct vcpu *v, uint32_t request)
{
	MUST(request == VCPU_REQUEST_WAKE);
	atomic_fetch_or(&v->requests, request);
}

// Small numbers, places in memory, and the edges of what there is.
static uint64_t argument(struct input *in)
{
	static const uint64_t edges[] = { UINT64_MAX, UINT64_MAX - 3, UINT32_MAX, UINT32_MAX - 7,
					  1ull << 63, PAGE - 2,	      PAGE - 4,	  1ull << 50 };
	uint8_t how = (uint8_t)take(in, 1);

	switch (how >> 6) {
	case 0:
		return how & 0x3f;
	case 1:
		return edges[how % 8];
	case 2:
		return take(in, 2);
	default:
		return take(in, 8);
	}
}

// A structure as calls take them, right where one looks for it. Its linear address.
static uint64_t structure(struct rig *r, struct input *in)
{
	uint32_t at = 2 * PAGE + 8 * (uint32_t)(take(in, 1) % 64);
	uint64_t words[3] = { argument(in), argument(in), argument(in) };

	memcpy(r->ram + at, words, sizeof(words));
	return at;
}

static void set_registers(struct rig *r, struct vcpu *v, struct input *in)
{
	static const uint8_t calls[] = { 32, 29, 24, 15 };
	struct kvm_regs *regs = &v->run->s.regs.regs;
	struct kvm_sregs *sregs = &v->run->s.regs.sregs;
	uint8_t how = (uint8_t)take(in, 1);

	memset(regs, 0, sizeof(*regs));
	memset(sregs, 0, sizeof(*sregs));
	regs->rax = how & 1 ? calls[take(in, 1) % 4] : argument(in);
	regs->rdi = argument(in);
	regs->rsi = how & 2 ? structure(r, in) : argument(in);
	regs->rdx = how & 4 ? structure(r, in) : argument(in);
	regs->rbx = regs->rdi;
	regs->rcx = regs->rsi;
	sregs->efer = how & 8 ? 0 : 1 << 10;
	sregs->cs.l = !(how & 16);
	sregs->cr0 = 1;
	sregs->ss.dpl = how & 32 ? 3 : 0;
	v->run->exit_reason = how & 64 ? KVM_EXIT_DEBUG : KVM_EXIT_IO;
	v->run->io.count = how & 128 ? 2 : 1;
}

// Whoever looks on is told of what was answered, and of nothing else.
static void check_told(struct rig *r, const struct vcpu *v, bool answered)
{
	struct xenus_seen seen[2];
	uint32_t count = xenus_take_seen(r->x, (uint32_t)(v - r->kvm.vcpu), seen, 2);

	MUST(count == answered);
	if (count)
		MUST((uint64_t)seen->result == v->run->s.regs.regs.rax && seen->took >= 0 &&
		     seen->behind_length <= XENUS_BEHIND);
}

static void make_call(struct rig *r, struct vcpu *v, struct input *in)
{
	struct kvm_run *run = v->run;
	struct vcpu_event event = { 0 };
	struct vcpu_hypercall call;
	bool debug, asks;

	set_registers(r, v, in);
	run->kvm_dirty_regs = 0;
	debug = run->exit_reason == KVM_EXIT_DEBUG;
	if (debug) {
		run->debug.arch = (struct kvm_debug_exit_arch){ .exception = (uint32_t)take(in, 1),
								.pc = argument(in),
								.dr6 = take(in, 4),
								.dr7 = take(in, 2) };
		asks = v->hypervisor_ops->debug(v, &event);
	} else {
		asks = v->hypervisor_ops->hypercall(v, &event);
	}
	MUST(!asks || event.kind == VCPU_XEN || (debug && event.kind == VCPU_DEBUG));
	check_told(r, v, !asks && run->kvm_dirty_regs);
	if (!asks && run->kvm_dirty_regs)
		MUST((int64_t)run->s.regs.regs.rax >= -ERRORS &&
		     (int64_t)run->s.regs.regs.rax <= 0);
	if (!asks || event.kind != VCPU_XEN)
		return;
	v->hypervisor_ops->get(v, &call);
	MUST(call.longmode || call.params[0] <= UINT32_MAX);
	v->hypervisor_ops->answer(v, -38);
	MUST(run->kvm_dirty_regs == KVM_SYNC_X86_REGS && run->s.regs.regs.rax == (uint64_t)-38);
}

// An exit of KVM's own interface: only the EOI of a level is answered below Python.
static void make_kvm_call(struct rig *r, struct vcpu *v, struct input *in)
{
	struct kvm_run *run = v->run;
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t gsi = (uint32_t)take(in, 1) % IRQ_HUB_GSIS;
	uint64_t eois = atomic_load(&r->pins->eois);

	if (how & 64)
		xenpirq_set_level(r->pins, (uint32_t)take(in, 1), how & 128 ? (int)gsi : -1);
	if (how & 32)
		MUST(!xenpirq_bind(r->pins, gsi, (uint32_t)take(in, 1), v->id));
	run->xen.u.hcall.longmode = how & 1;
	run->xen.u.hcall.cpl = how & 2 ? 3 : 0;
	run->xen.u.hcall.input = how & 4 ? argument(in) : 33;
	run->xen.u.hcall.params[0] = how & 8 ? argument(in) : 12;
	run->xen.u.hcall.params[1] = how & 16 ? argument(in) : structure(r, in);
	run->xen.u.hcall.result = UINT64_MAX;
	bool answered = v->xen_answer(v);
	MUST(atomic_load(&r->pins->eois) == eois + answered);
	MUST(run->xen.u.hcall.result == (answered ? 0 : UINT64_MAX));
	MUST(!answered || (!run->xen.u.hcall.cpl && run->xen.u.hcall.input == 33 &&
			   (uint32_t)run->xen.u.hcall.params[0] == 12));
}

static void wire(struct rig *r, struct input *in, uint32_t port, uint32_t vcpu)
{
	switch (take(in, 1) % 8) {
	case 0:
		xenus_close(r->x, port);
		break;
	case 1:
		xenus_connect(r->x, port, (uint32_t)take(in, 2) % EVTCHN_PORTS64, vcpu);
		break;
	case 2:
		MUST(!xenus_open_channel(r->x, port, vcpu, r->kick, r->call));
		break;
	case 3:
		xenus_close_channel(r->x, port);
		break;
	case 4:
		MUST(!xenus_set_gsi(r->x, r->raise, r->lowered));
		break;
	case 5:
		MUST(!xenus_set_gsi(r->x, -1, -1));
		break;
	default:
		xenus_open(r->x, port, vcpu);
	}
}

static void arrange(struct rig *r, struct input *in, uint32_t vcpu)
{
	uint64_t gpa = take(in, 2) * 8;

	switch (take(in, 1) % 8) {
	case 0:
		xenus_set_page(r->x, gpa & 1 << 3 ? gpa & -(uint64_t)PAGE : XENUS_NOWHERE);
		break;
	case 1:
		xenus_set_info(r->x, vcpu, gpa < 8 ? XENUS_NOWHERE : gpa);
		break;
	case 2:
		xenus_set_runstate(r->x, vcpu, gpa < 8 ? XENUS_NOWHERE : gpa + take(in, 1) % 8);
		break;
	case 3:
		xenus_set_vector(r->x, vcpu, (uint8_t)gpa);
		break;
	case 4:
		xenus_set_timer_port(r->x, vcpu, (uint32_t)gpa % EVTCHN_PORTS64, argument(in));
		break;
	case 5:
		xenus_set_wide(r->x, gpa & 8);
		xenus_set_update_flag(r->x, gpa & 16);
		break;
	case 6:
		r->kvm.map[gpa / 8 % LINEAR_PAGES] = (uint8_t)(gpa >> 8);
		r->kvm.deaf = gpa & 8;
		break;
	default:
		MUST(!xenus_set_sites(r->x, vcpu, gpa, gpa + 16));
	}
}

static void one_step(struct rig *r, struct input *in)
{
	uint8_t what = (uint8_t)take(in, 1);
	uint32_t vcpu = what >> 3 & 1, port;
	uint64_t one = 1;

	switch (what % 8) {
	case 0:
		port = (uint32_t)take(in, 2) % (PAGES * PAGE - 256);
		take_into(in, r->ram + port, what >> 2);
		break;
	case 1:
		wire(r, in, (uint32_t)take(in, 2) % EVTCHN_PORTS64, vcpu);
		break;
	case 2:
		arrange(r, in, vcpu);
		break;
	case 3:
		if (what & 16)
			step_clock(in, r->kvm.clock);
		else
			make_kvm_call(r, &r->kvm.vcpu[vcpu], in);
		break;
	case 4:
		port = (uint32_t)take(in, 2);
		if (what & 16)
			xenus_tell(r->x, vcpu);
		else if (what & 32)
			xenus_end_polls(r->x);
		else
			xenus_send(r->x, port, vcpu + (what >> 6));
		break;
	case 5:
		MUST(write(what & 16 ? r->call : r->lowered, &one, sizeof(one)) > 0);
		break;
	default:
		make_call(r, &r->kvm.vcpu[vcpu], in);
	}
	ticker_run(&r->ticker);
}

// What the domain says of its vCPUs.
static void check(const struct rig *r)
{
	uint32_t pollers = 0, owing = 0;

	for (uint32_t n = 0; n < VCPUS; n++) {
		const struct xenus_vcpu *u = &r->x->vcpu[n];
		pollers += u->polling;
		owing += u->owed;
		MUST(u->poll_count <= XENUS_MAX_POLL);
		MUST(!u->polling || r->kvm.mp_state[n] == KVM_MP_STATE_HALTED);
	}
	MUST(pollers == r->x->pollers && owing == r->x->owing);
}

static void build(struct rig *r, struct gmem *m, struct gmem_dev *dev)
{
	static const char schedstat[] = "1000 2000 3\n";

	MUST(m && (r->ram = calloc(PAGES, PAGE)));
	MUST(!gmem_add(m, 0, PAGES * PAGE, r->ram, 0));
	ticker_init(&r->ticker);
	MUST((r->kvm.clock = vclock_create(true)));
	r->vm.wait.vm_fd = VM_FD;
	MUST((r->x = xenus_create(&r->vm, m, dev, r->kvm.clock, r->ticker.loop, VCPUS)));
	MUST((r->hub = irq_hub_create()));
	MUST((r->pins = xenpirq_create(r->hub, VM_FD)));
	for (uint32_t n = 0; n < VCPUS; n++) {
		r->kvm.vcpu[n] = (struct vcpu){ .fd = VCPU_FD + (int)n, .id = n };
		MUST((r->kvm.vcpu[n].run = calloc(1, sizeof(*r->kvm.vcpu[n].run))));
		xenus_add_vcpu(r->x, n, &r->kvm.vcpu[n]);
		xenpirq_answer(r->pins, &r->kvm.vcpu[n], m, dev);
		int fd = memfd_create("schedstat", MFD_CLOEXEC);
		MUST(write(fd, schedstat, sizeof(schedstat)) > 0);
		xenus_set_schedstat(r->x, n, fd);
	}
	for (uint32_t n = 0; n < LINEAR_PAGES; n++)
		r->kvm.map[n] = (uint8_t)n;
	r->kick = eventfd(0, EFD_NONBLOCK);
	r->call = eventfd(0, EFD_NONBLOCK);
	r->raise = eventfd(0, EFD_NONBLOCK);
	r->lowered = eventfd(0, EFD_NONBLOCK);
	MUST(!xenus_watch(r->x, r->kick));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig = { 0 }, *r = &rig;
	struct gmem *m = gmem_create();
	struct gmem_dev dev = { 0 };

	the_kvm = &r->kvm;
	build(r, m, &dev);
	while (in.left) {
		one_step(r, &in);
		check(r);
	}
	xenus_destroy(r->x);
	xenpirq_destroy(r->pins);
	irq_hub_destroy(r->hub);
	vclock_destroy(r->kvm.clock);
	ticker_deinit(&r->ticker);
	gmem_destroy(m);
	for (uint32_t n = 0; n < VCPUS; n++)
		free(r->kvm.vcpu[n].run);
	close(r->kick);
	close(r->call);
	close(r->raise);
	close(r->lowered);
	free(r->ram);
	return 0;
}
