// SPDX-License-Identifier: Apache-2.0
// A Xen domain without KVM's own Xen interface: what guests do all the time is answered here, the
// rest returns to Python as VCPU_XEN.
//
// A hypercall is a byte written to XENUS_PORT (what stands where the guest had VMCALL or VMMCALL,
// and in the hypercall page), or a hardware breakpoint at the guest's instruction. Its registers
// are in kvm_run (KVM_CAP_SYNC_REGS). Upcalls are MSIs to the vCPU's local APIC, or a level on a
// GSI. Python owns the port table; this mirrors what it takes to deliver an event.
#ifndef VMM_XENUS_H
#define VMM_XENUS_H

#include "evtchn.h"
#include "timer.h"
#include "vcpu.h"

#define XENUS_PORT 0xe4 // nothing else is there, and OUT has room for one byte
#define XENUS_MAX_POLL 128 // ports in one SCHEDOP_poll
#define XENUS_NOWHERE UINT64_MAX // no guest-physical address
#define XENUS_BEHIND 24 // bytes that are told of what an argument points to

struct xenus;
struct xenus_ring;

struct xenus_port {
	uint32_t target; // what is sent to the port makes this one pending; 0: Python knows
	uint16_t vcpu; // ... and tells this vCPU
	uint16_t tells; // whom the port itself tells
	bool open;
	struct xenus_channel *channel; // of a back-end that takes what is sent
};

struct xenus_counters {
	// Answered here.
	uint64_t send, unmask, poll, yields, set_timer, stop_timer;
	uint64_t upcalls; // that KVM took
	uint64_t late; // ... after it had not
	uint64_t asserted; // the callback's GSI
	uint64_t debug; // the guest's own debug exceptions, given back
};

struct xenus_vcpu {
	struct xenus *x;
	struct vcpu *v;
	uint32_t index;
	struct vcpu_hypercall call; // of the last exit
	uint64_t site[2]; // linear addresses of instructions with breakpoints; 0: none
	_Atomic uint32_t wishes; // for its own thread: enum xenus_wish
	struct xenus_ring *ring; // for whoever looks on; NULL: nobody does
	uint32_t behind_length;
	uint8_t behind[XENUS_BEHIND];
	// Guarded by the domain's lock.
	uint64_t info; // vcpu_info
	uint8_t vector; // 0: none
	bool owed; // an upcall that KVM did not take
	bool polling;
	uint32_t poll_count;
	uint32_t poll_port[XENUS_MAX_POLL];
	uint32_t timer_port;
	uint64_t expires; // of the timer, in system time
	struct timer timer, poll_timer;
	// The run state: own thread, or while the vCPU is parked.
	uint64_t runstate; // where the guest wants it
	int sched_fd; // schedstat of the vCPU's thread, -1 before it is known
	bool based;
	uint64_t offline; // ns before it ran
	int64_t next_note; // on the machine's clock: when it is written again
};

struct xenus {
	struct dev dev; // XENUS_PORT
	struct vmcore *vm;
	struct evtchn bits; // page XENUS_NOWHERE: there is no shared_info
	struct vclock *clock;
	struct loop *loop;
	pthread_mutex_t lock;
	uint32_t count; // vCPUs
	uint32_t owing; // vCPUs with `owed`
	uint32_t pollers;
	uint64_t site[2]; // those that vCPUs are to have
	int64_t patience; // ns until what is owed is tried again
	int gsi_fd; // eventfd that raises the callback's GSI, -1 without one
	atomic_bool update_flag; // of run state areas
	atomic_bool pass_all; // Python answers every call but polls and yields
	bool gsi_up; // ... and no EOI came since
	int lowered_fd, lowered_handle; // eventfd that tells of its EOI, in the loop
	struct timer retry;
	struct xenus_counters counters;
	struct xenus_port port[EVTCHN_PORTS64];
	struct xenus_vcpu vcpu[];
};

// A call that was answered here. Times in nanoseconds; `began` of CLOCK_MONOTONIC.
struct xenus_seen {
	int64_t began, took;
	uint64_t number, params[6];
	int64_t result;
	uint32_t behind_length;
	uint8_t behind[XENUS_BEHIND]; // what an argument points to, as far as it was read
};

// Nanoseconds running, runnable, blocked and offline, and the system time they add up to.
struct xenus_runstate {
	uint64_t now, times[4];
};

// NULL with errno set. loop runs the timers.
struct xenus *xenus_create(struct vmcore *vm, struct gmem *memory, struct gmem_dev *dev,
			   struct vclock *clock, struct loop *loop, uint32_t vcpus);
// No vCPU runs, the loop has ended.
void xenus_destroy(struct xenus *x);
// Before the vCPU runs: its exits carry registers from then on, and it makes hypercalls here.
void xenus_add_vcpu(struct xenus *x, uint32_t index, struct vcpu *v);
// The same for one whose hypercalls are KVM's: it is told of events here, and no more.
void xenus_know_vcpu(struct xenus *x, uint32_t index, struct vcpu *v);

// All below: from any thread. page: guest-physical, or XENUS_NOWHERE.
void xenus_set_page(struct xenus *x, uint64_t page);
void xenus_set_wide(struct xenus *x, bool wide);
void xenus_set_info(struct xenus *x, uint32_t vcpu, uint64_t info);
void xenus_set_vector(struct xenus *x, uint32_t vcpu, uint8_t vector);
// The callback's GSI: writing the eventfd `raise` raises it, an EOI lowers it and writes `lowered`;
// it is raised again if the first vCPU has upcalls still. Both are the caller's, and open until
// they are replaced; -1: none. 0 or -errno.
int xenus_set_gsi(struct xenus *x, int raise, int lowered);
// Ports below EVTCHN_PORTS64. An open one tells `vcpu`; what is sent to one that is connected makes
// `target` pending, which tells `vcpu`; target 0: Python answers sends.
void xenus_open(struct xenus *x, uint32_t port, uint32_t vcpu);
void xenus_close(struct xenus *x, uint32_t port);
void xenus_connect(struct xenus *x, uint32_t port, uint32_t target, uint32_t vcpu);
// Sends to the port are counted in the eventfd `kick`; writing `call` makes it pending and tells
// the vCPU. For a port that was opened before: its vCPU changes. Both stay the caller's, and open
// until xenus_close_channel(). 0 or -errno.
int xenus_open_channel(struct xenus *x, uint32_t port, uint32_t vcpu, int kick, int call);
void xenus_close_channel(struct xenus *x, uint32_t port);
// Makes the port pending and tells the vCPU. -EINVAL, -EFAULT: there is nowhere to set it.
int xenus_send(struct xenus *x, uint32_t port, uint32_t vcpu);
// An upcall for the vCPU, if its byte is set: what came before it had a vector.
void xenus_tell(struct xenus *x, uint32_t vcpu);
// The port of the vCPU's timer, 0 for none, and when it goes off, in system time; 0: when it would
// have, had it had a port.
void xenus_set_timer_port(struct xenus *x, uint32_t vcpu, uint32_t port, uint64_t expires);
// When the timer goes off that has a port; 0: there is none, or it went off and was told of.
uint64_t xenus_timer_end(struct xenus *x, uint32_t vcpu);
// Nobody waits for an event any more: a domain that begins anew has none.
void xenus_end_polls(struct xenus *x);
// Python answers every call from here on, but polls and yields, which wait for nobody there.
void xenus_pass_all(struct xenus *x);
void xenus_counters(struct xenus *x, struct xenus_counters *ret);

// Calls that are answered here are kept from here on until xenus_take_seen() takes them; what comes
// while too many wait is lost, and counted. `wake_fd` is an eventfd of the caller's, written when
// half the room is taken. Before vCPUs run. 0 or -ENOMEM.
int xenus_watch(struct xenus *x, int wake_fd);
// The oldest of one vCPU's, at most `max`: how many there were. One reader at a time.
uint32_t xenus_take_seen(struct xenus *x, uint32_t vcpu, struct xenus_seen *ret, uint32_t max);
uint64_t xenus_calls_lost(struct xenus *x);

// Whether a bit in run state areas tells that they are being written.
void xenus_set_update_flag(struct xenus *x, bool on);
// Own thread, or while the vCPU is parked. gpa: of the runstate area, or XENUS_NOWHERE.
void xenus_set_runstate(struct xenus *x, uint32_t vcpu, uint64_t gpa);
// The schedstat file of the vCPU's thread; `fd` is the domain's from here on.
void xenus_set_schedstat(struct xenus *x, uint32_t vcpu, int fd);
// -ENODATA: the host does not say, or the vCPU has no thread yet.
int xenus_runstate(struct xenus *x, uint32_t vcpu, struct xenus_runstate *ret);
// Hardware breakpoints at these linear addresses are hypercalls; 0: none are. Own thread, or while
// the vCPU is parked. 0 or -errno.
int xenus_set_sites(struct xenus *x, uint32_t vcpu, uint64_t first, uint64_t second);
// The same for every vCPU but `vcpu`, each of which does it before it runs on. From any thread.
void xenus_share_sites(struct xenus *x, uint32_t vcpu, uint64_t first, uint64_t second);

// Where the guest's hypercall instructions are: VMMCALL, and 16 or 32 bytes on VMCALL, each
// followed by a return or a jump. The offset of the first, and the distance to the second, or
// -ENOENT.
int64_t xenus_find_site(const void *image, uint64_t length, uint32_t *ret);

#endif
