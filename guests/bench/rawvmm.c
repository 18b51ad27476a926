// SPDX-License-Identifier: Apache-2.0
/*
 * The least a VMM can do: one VM, its vCPUs, ioctl(KVM_RUN) and a switch. Its cost per exit is
 * the 1.00 that vmm and others are compared with, so the loop has no table, no lock and no counter.
 * Also runs the tiny guests on their own. It trusts its image.
 *
 * usage: rawvmm [OPTION]... IMAGE
 *   -m  MiB of memory; -c number of vCPUs; -a command line
 *   -p  real16, multiboot, pvh or long64; otherwise the image's format decides
 *   -i  in-kernel irqchip and PIT (always with -c above 1)
 *   -d  ioeventfd on this port, 16 bits wide
 *   -r  coalesced ring for bytes written to this port
 *   -v  a split ring for random bytes at this address, rung by the doorbell (rawring.c); with -i
 *   -k  an ACPI PM timer at this port
 *   -x  a Xen domain of one vCPU by KVM's own means (rawxen.c); with -i
 *   -t  CPU time and peak memory on stderr at the end
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "raw.h"

struct options opt = {
	.mem = 64 << 20, .cpus = 1, .doorbell = -1, .ring = -1, .pm = -1, .cmdline = ""
};

static int kvm, vm, vcpus[256];
static size_t run_size;
unsigned char *ram;
static struct kvm_coalesced_mmio_ring *ring;
static uint32_t ring_size;

enum { DEBUG_EXIT = 0xf4 };

int call(int fd, unsigned long request, const char *name, uintptr_t arg)
{
	int r = ioctl(fd, request, arg);

	if (r < 0)
		err(6, "%s", name);
	return r;
}

static void finish(int code)
{
	struct rusage u;

	fflush(stdout);
	if (opt.times) {
		getrusage(RUSAGE_SELF, &u);
		fprintf(stderr, "rawvmm: cpu %ld us, max rss %ld KiB\n",
			u.ru_utime.tv_usec + u.ru_stime.tv_usec +
				1000000 * (u.ru_utime.tv_sec + u.ru_stime.tv_sec),
			u.ru_maxrss);
	}
	_exit(code);
}

static void die(const struct kvm_run *run, int fd)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	fflush(stdout);
	CALL(fd, KVM_GET_REGS, &r);
	CALL(fd, KVM_GET_SREGS, &s);
	fprintf(stderr,
		"rawvmm: exit %u (sub %u), rip %llx cs %x base %llx rsp %llx rflags %llx rax %llx "
		"cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx\n",
		run->exit_reason, run->internal.suberror, r.rip, s.cs.selector, s.cs.base, r.rsp,
		r.rflags, r.rax, s.cr0, s.cr2, s.cr3, s.cr4, s.efer);
	for (unsigned int i = 0;
	     run->exit_reason == KVM_EXIT_INTERNAL_ERROR && i < run->internal.ndata && i < 16; i++)
		fprintf(stderr, "rawvmm: data[%u] %llx\n", i, run->internal.data[i]);
	finish(254);
}

// What was coalesced came before the write at hand; that one found the ring full, or another port.
static void drain(void)
{
	for (; ring->first != ring->last; ring->first = (ring->first + 1) % ring_size)
		if (ring->coalesced_mmio[ring->first].phys_addr == COM1)
			fputc(ring->coalesced_mmio[ring->first].data[0], stdout);
}

static void out(struct kvm_run *run)
{
	const unsigned char *p = (unsigned char *)run + run->io.data_offset;

	if (ring)
		drain();
	if (run->io.port == DEBUGCON || run->io.port == COM1)
		fwrite(p, 1, (size_t)run->io.size * run->io.count, stdout);
	else if (run->io.port == DEBUG_EXIT)
		finish(p[0] << 1 | 1);
}

static void in(struct kvm_run *run)
{
	unsigned char *p = (unsigned char *)run + run->io.data_offset;

	if (run->io.size == 4 && run->io.port == opt.pm)
		raw_pm_timer(p);
	else
		memset(p, raw_answer(run->io.port), (size_t)run->io.size * run->io.count);
}

static void loop(int fd, struct kvm_run *run)
{
	for (;;) {
		if (ioctl(fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN) // EAGAIN: an AP got its SIPI
				continue;
			err(6, "KVM_RUN");
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.direction == KVM_EXIT_IO_OUT)
				out(run);
			else
				in(run);
			break;
		case KVM_EXIT_MMIO:
			if (!run->mmio.is_write)
				memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
			break;
		case KVM_EXIT_HLT:
			break;
		case KVM_EXIT_XEN:
			raw_xen_call(vm, fd, run);
			break;
		default:
			die(run, fd);
		}
	}
}

static void *vcpu_thread(void *arg)
{
	int fd = *(int *)arg;
	struct kvm_run *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (run == MAP_FAILED)
		err(6, "mmap of the vCPU");
	loop(fd, run);
	return NULL;
}

static void make_vcpu(int index)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} ids;

	vcpus[index] = CALL(vm, KVM_CREATE_VCPU, index);
	if (!ids.head.nent) {
		ids.head.nent = 256;
		CALL(kvm, KVM_GET_SUPPORTED_CPUID, &ids);
	}
	for (unsigned int i = 0; i < ids.head.nent; i++) {
		if (ids.entries[i].function == 1)
			ids.entries[i].ebx = (ids.entries[i].ebx & 0xffffff) | (uint32_t)index
										       << 24;
		else if (ids.entries[i].function == 0xb || ids.entries[i].function == 0x1f)
			ids.entries[i].edx = (uint32_t)index;
	}
	CALL(vcpus[index], KVM_SET_CPUID2, &ids);
}

static void make_vm(void)
{
	struct kvm_userspace_memory_region slot = { .memory_size = opt.mem };
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(4, "/dev/kvm");
	vm = CALL(kvm, KVM_CREATE_VM, 0);
	run_size = (size_t)CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	CALL(vm, KVM_SET_TSS_ADDR, 0xfeffd000);
	if (opt.irqchip) {
		CALL(vm, KVM_CREATE_IRQCHIP, 0);
		CALL(vm, KVM_CREATE_PIT2, &pit);
	}
	ram = mmap(NULL, opt.mem, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		err(4, "guest memory");
	if (opt.xen)
		raw_xen(vm);
	slot.userspace_addr = (uintptr_t)ram;
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

static void make_fast_ports(void)
{
	struct kvm_ioeventfd doorbell = { .addr = (uint64_t)opt.doorbell,
					  .len = 2,
					  .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct kvm_coalesced_mmio_zone zone = { .addr = (uint64_t)opt.ring, .size = 1, .pio = 1 };
	int pages = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	if (opt.doorbell >= 0) {
		doorbell.fd = eventfd(0, EFD_CLOEXEC);
		CALL(vm, KVM_IOEVENTFD, &doorbell);
		if (opt.vring)
			raw_ring(vm, doorbell.fd);
	}
	if (opt.ring >= 0) {
		char *p = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[0], 0);

		if (p == MAP_FAILED || pages <= 0)
			errx(6, "no coalesced ring");
		ring = (void *)(p + pages * getpagesize());
		ring_size =
			((uint32_t)getpagesize() - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
		CALL(vm, KVM_REGISTER_COALESCED_MMIO, &zone);
	}
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "m:c:a:p:id:r:k:v:tx")) != -1) {
		switch (c) {
		case 'm':
			opt.mem = strtoull(optarg, NULL, 0) << 20;
			break;
		case 'c':
			opt.cpus = atoi(optarg);
			break;
		case 'a':
			opt.cmdline = optarg;
			break;
		case 'p':
			opt.protocol = optarg;
			break;
		case 'i':
			opt.irqchip = true;
			break;
		case 'd':
			opt.doorbell = (int)strtol(optarg, NULL, 0);
			break;
		case 'r':
			opt.ring = (int)strtol(optarg, NULL, 0);
			break;
		case 'k':
			opt.pm = (int)strtol(optarg, NULL, 0);
			break;
		case 'v':
			opt.vring = strtoull(optarg, NULL, 0);
			break;
		case 't':
			opt.times = true;
			break;
		case 'x':
			opt.xen = true;
			break;
		default:
			exit(2);
		}
	}
	if (optind != argc - 1 || opt.cpus < 1 || opt.cpus > 255 || opt.mem < 2 << 20 ||
	    opt.mem > 3ull << 30 || strlen(opt.cmdline) >= 0x10000)
		errx(2, "usage: rawvmm [OPTION]... IMAGE; its source says more");
	opt.image = argv[optind];
	opt.irqchip |= opt.cpus > 1;
}

int main(int argc, char **argv)
{
	uint64_t entry;
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	parse(argc, argv);
	make_vm();
	entry = raw_load();
	for (int i = 0; i < opt.cpus; i++)
		make_vcpu(i);
	raw_enter(vcpus[0], entry);
	make_fast_ports();
	for (int i = 1; i < opt.cpus; i++)
		if (pthread_create(&thread, NULL, vcpu_thread, &vcpus[i]))
			errx(4, "no thread for vCPU %d", i);
	vcpu_thread(&vcpus[0]);
	return 0;
}
