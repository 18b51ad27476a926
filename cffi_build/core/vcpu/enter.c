// SPDX-License-Identifier: Apache-2.0
#include <linux/kvm.h>
#include <sys/syscall.h>

#include "vcpu.h"

int vcpu_enter(int fd)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_ioctl), "D"(fd), "S"(KVM_RUN), "d"(0)
			 : "rcx", "r11", "memory");
	return (int)result;
}
