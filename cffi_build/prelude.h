// SPDX-License-Identifier: Apache-2.0
// The extension's C side: every header the cdef speaks of, and the one place where C meets Python.
#include <cpuid.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/sockios.h>
#include <linux/virtio_console.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include "compat.h"

#include "acpiregs.h"
#include "blk.h"
#include "bus.h"
#include "chan.h"
#include "coalesce.h"
#include "dbgexit.h"
#include "debugcon.h"
#include "evtchn.h"
#include "fwcfg.h"
#include "gmem.h"
#include "gnttab.h"
#include "hpet.h"
#include "i8042.h"
#include "ioapic.h"
#include "intx.h"
#include "iov.h"
#include "irq.h"
#include "legacy_route.h"
#include "loop.h"
#include "msix.h"
#include "nullport.h"
#include "pci.h"
#include "pcihp.h"
#include "pcitest.h"
#include "pic.h"
#include "pit.h"
#include "pmtimer.h"
#include "postcode.h"
#include "pvpanic.h"
#include "pydev.h"
#include "ram.h"
#include "resetport.h"
#include "router.h"
#include "rtc.h"
#include "split_sink.h"
#include "testdev.h"
#include "timer.h"
#include "uart.h"
#include "vblk.h"
#include "vcon.h"
#include "vcpu.h"
#include "vfiopci.h"
#include "virtio_pci.h"
#include "virtio_py.h"
#include "virtio_rng.h"
#include "vnet.h"
#include "vq.h"
#include "xblk.h"
#include "xencon.h"
#include "xenpirq.h"
#include "xenus.h"
#include "xnet.h"
#include "xsring.h"

// One ioctl, errno as a value: cffi has no cheap way to read errno safely across threads.
static long sys_ioctl(int fd, unsigned long request, void *argument)
{
	long result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

static int sys_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

// Goes off `first` nanoseconds from now, then each `period`; 0: never, once. 0 or -errno.
static int sys_timerfd_set(int fd, uint64_t first, uint64_t period)
{
	struct itimerspec when = {
		.it_value = { (time_t)(first / NS_PER_S), (long)(first % NS_PER_S) },
		.it_interval = { (time_t)(period / NS_PER_S), (long)(period % NS_PER_S) },
	};

	return timerfd_settime(fd, 0, &when, NULL) ? -errno : 0;
}

static long sys_ioctl_value(int fd, unsigned long request, unsigned long argument)
{
	long result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

// What the processor under us answers: EAX, EBX, ECX and EDX.
static void sys_cpuid(uint32_t function, uint32_t index, uint32_t *ret)
{
	__cpuid_count(function, index, ret[0], ret[1], ret[2], ret[3]);
}

// A device's register: one instruction of that width, never more. cffi's own accesses are
// memcpy, and that of glibc touches four bytes twice. Any size but 1, 2, 4 and 8 reads zero
// and writes nothing.
static uint64_t mmio_read(const void *at, uint32_t size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)at;
	case 2:
		return *(const volatile uint16_t *)at;
	case 4:
		return *(const volatile uint32_t *)at;
	case 8:
		return *(const volatile uint64_t *)at;
	default:
		return 0;
	}
}

static void mmio_write(void *at, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at = (uint32_t)value;
		break;
	case 8:
		*(volatile uint64_t *)at = value;
		break;
	default:
		break;
	}
}

// struct kvm_irqchip holds a union, which cffi cannot look into: typed views of its two members.
struct ioapic_view {
	uint64_t base_address;
	uint32_t ioregsel, id, irr, pad;
	uint64_t redirtbl[24];
};

_Static_assert(sizeof(struct ioapic_view) == sizeof(struct kvm_ioapic_state), "kvm_ioapic_state");

static struct kvm_pic_state *irqchip_pic(struct kvm_irqchip *chip)
{
	return &chip->chip.pic;
}

static struct ioapic_view *irqchip_ioapic(struct kvm_irqchip *chip)
{
	return (struct ioapic_view *)&chip->chip.ioapic;
}
