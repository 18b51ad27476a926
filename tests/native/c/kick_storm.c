// SPDX-License-Identifier: Apache-2.0
// Ten thousand kicks from several threads, none lost, without KVM: ioctl() here stands in for it.
//
// In each round every thread kicks once and waits for its answer; the next round begins when all
// have theirs, so that no later kick makes good for a lost one. First one thread alone, then
// several, and at last several while devices ask, kick and interrupt as well.
//
// The stand-in keeps KVM_RUN's contract (Documentation/virt/kvm/api.rst, "immediate_exit"): a
// signal that comes before the call is gone, one that comes during it ends it, and immediate_exit
// is looked at once, on the way in, when the last access is complete. An access may have a second
// half, which is an exit of its own. An interrupt that is put into the vCPU's events is delivered
// by an entry; it may be put there only while none waits and no access is open, and does not wake a
// halted vCPU. A lost kick or interrupt leaves the vCPU waiting for good: the alarm ends the
// program.
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "pic.h"

// Every atomic step of the run loop and of the kick may be followed by a pause, so that the moments
// between two steps are long enough to be hit.
static void pause_sometimes(void)
{
	static _Thread_local unsigned int seed = 1;

	if (rand_r(&seed) % 8 == 0)
		sched_yield();
	else if (rand_r(&seed) % 16 == 0)
		usleep(20);
}

#undef atomic_fetch_or
#undef atomic_exchange
#define atomic_fetch_or(object, bits)                                                              \
	(pause_sometimes(), atomic_fetch_or_explicit(object, bits, memory_order_seq_cst))
#define atomic_exchange(object, value)                                                             \
	(pause_sometimes(), atomic_exchange_explicit(object, value, memory_order_seq_cst))
#define __atomic_store_n(object, value, order)                                                     \
	(pause_sometimes(), __atomic_store_n(object, value, order))
#include "vcpu.c"
#include "vcpu_inject.c"
#include "vcpu_life.c"
#undef atomic_fetch_or
#undef atomic_exchange
#undef __atomic_store_n

#define KICKERS 3
#define ALONE 2500 // rounds
#define TOGETHER 1250 // rounds, twice
#define INTERRUPTS 1000
#define PATIENCE 110 // s
#define RUN_BYTES (3 * 4096)
#define DATA_OFFSET (2 * 4096)
#define PORT 0x60
#define IRQ 3
#define VECTORS 0x20

static struct vcpu *vcpu;
static struct vmcore *core;
static struct pic *pic;
static _Atomic uint64_t posted, served; // commands
static _Atomic uint64_t delivered; // interrupts
static _Atomic bool done, busy; // busy: devices act too
// The vCPU thread's.
static uint64_t waits, exits, halves, own_kicks;
static uint64_t asked, told; // events: of the device, and those that came out
static unsigned int guest_seed = 7;

// --- the guest and its device

static int port_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	(void)d, (void)region, (void)offset, (void)size;
	*ret = 0;
	return 0;
}

// Some writes ask for something: vcpu_run() returns with the access still to be completed. Some
// kick the vCPU from its own thread, as a device does that queues a command.
static int port_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	(void)d, (void)region, (void)offset, (void)size;
	if (!atomic_load(&busy))
		return 0;
	if (value % 64 == 1) {
		atomic_fetch_add(&posted, 1);
		vcpu_kick(vcpu, VCPU_REQUEST_COMMANDS);
		own_kicks++;
	}
	if (value % 4)
		return 0;
	asked++;
	return DEV_EVENT_MARK;
}

static const struct dev_ops port_ops = { .read = port_read, .write = port_write };

// --- KVM

static struct {
	bool halted;
	bool access_open; // its completion is the next entry's
	bool event; // an interrupt waits for the next entry
} kvm;

static void access_exit(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = rand_r(&guest_seed) % 2 ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = 1;
	run->io.count = 1;
	run->io.port = PORT;
	run->io.data_offset = DATA_OFFSET;
	((uint8_t *)run)[DATA_OFFSET] = (uint8_t)rand_r(&guest_seed);
	kvm.access_open = true;
}

static int interrupted(void)
{
	errno = EINTR;
	return -1;
}

// Runs the guest until it makes an exit or a signal that is in `unblocked` comes.
static int run_guest(struct kvm_run *run, const sigset_t *unblocked)
{
	// Half of the kicks find a guest that mostly waits, half one that exits all the time.
	int patience = atomic_load(&served) % 2 ? 4 : 4096;

	if (kvm.event && !kvm.halted) {
		kvm.event = false;
		atomic_fetch_add(&delivered, 1);
	}
	kvm.halted = kvm.halted || rand_r(&guest_seed) % patience == 0;
	if (kvm.halted && !run->request_interrupt_window) {
		waits++;
		ppoll(NULL, 0, NULL, unblocked);
		kvm.halted = rand_r(&guest_seed) % 2; // else its own timer woke it
		return interrupted();
	}
	exits++;
	if (run->request_interrupt_window)
		run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
	else
		access_exit(run);
	return 0;
}

static int kvm_run(struct kvm_run *run)
{
	bool was_open = kvm.access_open;
	sigset_t all, before;
	int result;

	sigfillset(&all);
	// From here on a signal waits, as in the kernel.
	pthread_sigmask(SIG_SETMASK, &all, &before);
	kvm.access_open = false;
	if (was_open && rand_r(&guest_seed) % 8 == 0) {
		halves++;
		access_exit(run);
		result = 0;
	} else if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) {
		result = interrupted();
	} else {
		result = run_guest(run, &before);
	}
	int err = errno;
	run->ready_for_interrupt_injection = !kvm.event;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return result;
}

static int set_events(const struct kvm_vcpu_events *events)
{
	CHECK(events->interrupt.injected && events->interrupt.nr == VECTORS + IRQ);
	CHECK(!kvm.event && !kvm.access_open);
	kvm.event = true;
	return 0;
}

static int set_mp_state(const struct kvm_mp_state *mp)
{
	CHECK(kvm.halted && mp->mp_state == KVM_MP_STATE_RUNNABLE);
	kvm.halted = false;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;

	(void)fd;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	switch (request) {
	case KVM_RUN:
		return kvm_run(vcpu->run);
	case KVM_GET_NESTED_STATE:
		return 0; // not nested
	case KVM_GET_VCPU_EVENTS:
		memset(argument, 0, sizeof(struct kvm_vcpu_events));
		return 0;
	case KVM_SET_VCPU_EVENTS:
		return set_events(argument);
	case KVM_GET_MP_STATE:
		((struct kvm_mp_state *)argument)->mp_state =
			kvm.halted ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
		return 0;
	case KVM_SET_MP_STATE:
		return set_mp_state(argument);
	default:
		errno = ENOTTY;
		return -1;
	}
}

int vcpu_enter(int fd)
{
	return ioctl(fd, KVM_RUN, 0) ? -errno : 0;
}

// --- threads

static void *vcpu_thread(void *opaque)
{
	struct vcpu_event event;

	(void)opaque;
	vcpu_thread_mask_signals();
	while (!atomic_load(&done)) {
		CHECK(!vcpu_run(vcpu, &event));
		CHECK(event.kind == VCPU_KICKED || event.kind == VCPU_DEVICE);
		if (event.kind == VCPU_KICKED)
			atomic_store(&served, atomic_load(&posted));
		told += event.kind == VCPU_DEVICE;
		// Before a register is read.
		while (atomic_load(&busy) && rand_r(&guest_seed) % 2 &&
		       vcpu_complete_io(vcpu, &event)) {
			CHECK(event.kind == VCPU_DEVICE);
			told++;
		}
	}
	return NULL;
}

struct party {
	pthread_barrier_t round;
	int rounds;
};

static void *kicker(void *opaque)
{
	struct party *p = opaque;

	for (int i = 0; i < p->rounds; i++) {
		pthread_barrier_wait(&p->round);
		uint64_t ticket = atomic_fetch_add(&posted, 1) + 1;
		vcpu_kick(vcpu, VCPU_REQUEST_COMMANDS);
		while (atomic_load(&served) < ticket)
			sched_yield();
	}
	return NULL;
}

// Each edge is one interrupt, injected on the vCPU's thread whatever that does meanwhile.
static void *interrupter(void *opaque)
{
	(void)opaque;
	for (uint64_t i = 0; i < INTERRUPTS; i++) {
		pic_set_line(pic, IRQ, 1);
		while (atomic_load(&delivered) <= i)
			sched_yield();
		pic_set_line(pic, IRQ, 0);
	}
	return NULL;
}

static void open_pic(void)
{
	// ICW1 single, ICW2, ICW4 with automatic EOI; then nothing masked.
	static const uint8_t words[][2] = { { 0, 0x13 }, { 1, VECTORS }, { 1, 0x03 }, { 1, 0x00 } };

	for (uint32_t i = 0; i < ARRAY_LEN(words); i++)
		CHECK(!pic->dev.ops->write(&pic->dev, PIC_MASTER, words[i][0], 1, words[i][1]));
}

static void kick(unsigned int kickers, int rounds)
{
	struct party party = { .rounds = rounds };
	pthread_t thread[KICKERS];

	pthread_barrier_init(&party.round, NULL, kickers);
	for (unsigned int i = 0; i < kickers; i++)
		CHECK(!pthread_create(&thread[i], NULL, kicker, &party));
	for (unsigned int i = 0; i < kickers; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&party.round);
}

static void storm(void)
{
	pthread_t runner, line;

	CHECK(!pthread_create(&runner, NULL, vcpu_thread, NULL));
	kick(1, ALONE);
	kick(KICKERS, TOGETHER);
	atomic_store(&busy, true);
	CHECK(!pthread_create(&line, NULL, interrupter, NULL));
	kick(KICKERS, TOGETHER);
	pthread_join(line, NULL);
	atomic_store(&done, true);
	vcpu_kick(vcpu, VCPU_REQUEST_COMMANDS);
	pthread_join(runner, NULL);
}

int main(void)
{
	struct bus *pio = bus_create(0x10000), *mmio = bus_create(1ULL << 52);
	int fd = memfd_create("kvm_run", MFD_CLOEXEC);
	struct dev port;

	alarm(PATIENCE);
	CHECK(fd >= 0 && !ftruncate(fd, RUN_BYTES) && pio && mmio);
	dev_init(&port, &port_ops, 0);
	CHECK(!bus_claim(pio, PORT, 1, &port, 0));
	CHECK((core = vmcore_create(-1, pio, mmio)));
	CHECK((vcpu = vcpu_create(core, fd, 0, RUN_BYTES, 0)));
	CHECK((pic = pic_create()) && !vcpu_kick_signal_init());
	open_pic();
	vmcore_set_split_irqchip(core, pic, NULL);
	storm();
	CHECK(atomic_load(&posted) >= ALONE + 2 * KICKERS * TOGETHER &&
	      atomic_load(&delivered) == INTERRUPTS && told == asked);
	CHECK(waits && exits && halves && own_kicks && vcpu->counters.interrupted);
	printf("posted %llu, waits %llu, exits %llu\n", (unsigned long long)atomic_load(&posted),
	       (unsigned long long)waits, (unsigned long long)exits);
	vmcore_set_split_irqchip(core, NULL, NULL);
	vcpu_destroy(vcpu);
	vmcore_destroy(core);
	pic_destroy(pic);
	dev_deinit(&port);
	bus_destroy(pio);
	bus_destroy(mmio);
	close(fd);
	return 0;
}
