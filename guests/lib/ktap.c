// SPDX-License-Identifier: Apache-2.0
#include "boot.h"
#include "exit.h"
#include "ktap.h"

#define FAILURES_SHOWN 8 // of one subtest: a check inside a loop must not flood the port

static u32 failures;

bool check_failed(const char *file, int line, const char *what)
{
	u32 n = __atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);

	if (n >= FAILURES_SHOWN)
		return false;
	printf("# %s:%d: failed: %s\n", file, line, what);
	return true;
}

int ktap_run(void)
{
	unsigned int i, bad = 0, count = 0;

	while (tests[count].name)
		count++;
	printf("KTAP version 1\n1..%u\n", count);
	for (i = 0; i < count; i++) {
		if (arg_lists("skip", tests[i].name)) {
			printf("ok %u %s # SKIP by command line\n", i + 1, tests[i].name);
			continue;
		}
		if (arg_flag("trace"))
			printf("# running %s\n", tests[i].name);
		failures = 0;
		tests[i].fn();
		if (failures > FAILURES_SHOWN)
			printf("# %u failures\n", failures);
		bad += failures != 0;
		printf("%s %u %s\n", failures ? "not ok" : "ok", i + 1, tests[i].name);
	}
	return bad ? EXIT_FAIL : EXIT_PASS;
}
