// SPDX-License-Identifier: Apache-2.0
/*
 * Counts the instructions a monitor executes in user space between two KVM_RUNs, by single-stepping
 * its vCPU thread: exact, the same on every machine, no counters needed. Start a guest that exits
 * all the time (bench), give this the thread's id.
 *
 * usage: steps [-v] TID [ROUNDS]
 *   -v  also the address of each instruction of the last round, for a profile
 */
#include <err.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define SYSCALL_OPCODE 0x050f
#define WAIT_FOR_FIRST 100000 // instructions after which the thread does not seem to run a guest

static bool at_kvm_run(int tid, const struct user_regs_struct *r, bool *other)
{
	long code;

	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, tid, r->rip, 0);
	if (errno || (code & 0xffff) != SYSCALL_OPCODE)
		return false;
	*other = r->rax != SYS_ioctl || (unsigned int)r->rsi != KVM_RUN;
	return !*other;
}

static void step(int tid)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0) || waitpid(tid, &status, __WALL) < 0)
		err(4, "single-stepping");
	if (!WIFSTOPPED(status))
		errx(4, "the thread has ended");
}

/* Steps from one KVM_RUN to the next; instructions executed, both SYSCALLs not counted twice. */
static unsigned long one_round(int tid, bool verbose, unsigned long *ret_syscalls)
{
	struct user_regs_struct r;
	unsigned long n = 0;
	bool other;

	for (;; n++) {
		other = false;
		if (ptrace(PTRACE_GETREGS, tid, 0, &r))
			err(4, "reading registers");
		if (at_kvm_run(tid, &r, &other) && n)
			return n;
		*ret_syscalls += other;
		if (verbose)
			printf("%llx\n", r.rip);
		if (n > WAIT_FOR_FIRST)
			errx(4, "no KVM_RUN in %d instructions", WAIT_FOR_FIRST);
		step(tid);
	}
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");
	int tid = argc > 1 + verbose ? atoi(argv[1 + verbose]) : 0;
	int rounds = argc > 2 + verbose ? atoi(argv[2 + verbose]) : 100, i, status;
	unsigned long n, least = -1ul, most = 0, total = 0, syscalls = 0;

	if (tid <= 0 || rounds <= 0)
		errx(2, "usage: steps [-v] TID [ROUNDS]");
	if (ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		err(4, "attaching to thread %d", tid);
	if (waitpid(tid, &status, __WALL) < 0)
		err(4, "waiting for thread %d", tid);
	one_round(tid, false, &syscalls); // from wherever it stood
	syscalls = 0;
	for (i = 0; i < rounds; i++) {
		n = one_round(tid, verbose && i == rounds - 1, &syscalls);
		least = n < least ? n : least;
		most = n > most ? n : most;
		total += n;
	}
	printf("rounds=%d least=%lu most=%lu mean=%lu other_syscalls=%lu\n", rounds, least, most,
	       total / (unsigned long)rounds, syscalls);
	ptrace(PTRACE_DETACH, tid, 0, 0);
	return 0;
}
