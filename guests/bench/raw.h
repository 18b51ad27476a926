/* SPDX-License-Identifier: Apache-2.0 */
/* rawvmm: what its files share. */
#ifndef RAW_H
#define RAW_H

#include <stdbool.h>
#include <stdint.h>

struct options {
	uint64_t mem;
	int cpus, doorbell, ring, pm;
	uint64_t vring;
	const char *cmdline, *protocol, *image;
	bool irqchip, times, xen;
};

extern struct options opt;
extern unsigned char *ram; /* opt.mem bytes at guest-physical 0 */

int call(int fd, unsigned long request, const char *name, uintptr_t arg);
#define CALL(fd, request, arg) call(fd, request, #request, (uintptr_t)(arg))

/* Serves the split ring at opt.vring on a thread of its own, rung by `doorbell`. */
void raw_ring(int vm, int doorbell);
struct kvm_run;
/* Has the VM's hypercalls answered by KVM, or end in raw_xen_call(). */
void raw_xen(int vm);
/* Answers those by which a guest sets itself up. */
void raw_xen_call(int vm, int vcpu, struct kvm_run *run);
/* Loads opt.image, writes the info block of its protocol, settles opt.protocol; the entry point. */
uint64_t raw_load(void);
/* Puts a vCPU at `entry` in the state opt.protocol promises. */
void raw_enter(int fd, uint64_t entry);

enum { DEBUGCON = 0xe9, COM1 = 0x3f8 };
/* What each byte read from `port` is. */
int raw_answer(uint16_t port);
/* The 4 bytes of the PM timer. */
void raw_pm_timer(unsigned char *ret);
#endif
