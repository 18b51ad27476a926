/* SPDX-License-Identifier: Apache-2.0 */
/* Subtests and their verdicts in KTAP. */
#ifndef GUEST_KTAP_H
#define GUEST_KTAP_H

#include "print.h"
#include "types.h"

struct test {
	const char *name;
	void (*fn)(void);
};

/*
 * Each guest defines this; an entry without a name ends it. Names listed in "skip=a,b" on the
 * command line are reported as SKIP and not run; "trace" names each before it runs.
 */
extern const struct test tests[];

/* Notes a failure; true if it was printed. */
bool check_failed(const char *file, int line, const char *what);
/* Fails the running subtest but lets it go on. */
#define check(condition) \
	((condition) ? (void)0 : (void)check_failed(__FILE__, __LINE__, #condition))
#define check_equal(got, want) \
	do { \
		u64 got_ = (u64)(got), want_ = (u64)(want); \
		if (got_ != want_ && check_failed(__FILE__, __LINE__, #got " == " #want)) \
			printf("# got 0x%lx, wanted 0x%lx\n", got_, want_); \
	} while (0)

int ktap_run(void); /* EXIT_PASS or EXIT_FAIL */
#endif
