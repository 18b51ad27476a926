// SPDX-License-Identifier: Apache-2.0
// Ten thousand kicks from several threads, none lost, without KVM: ioctl() here stands in for it.
//
// In each round every thread kicks once and waits for its answer; the next round begins when all
// have theirs, so that no later kick makes good for a lost one. First one thread alone, then
// several, and at last several while devices ask, kick and interrupt as well.
//
// A lost kick or interrupt leaves the vCPU waiting for good: the alarm ends the program.
#define _GNU_SOURCE
#include "kick_kvm.h"

#define KICKERS 3
#define ALONE 2500 // rounds
#define TOGETHER 1250 // rounds, twice
#define INTERRUPTS 1000
#define PATIENCE 110 // s

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
