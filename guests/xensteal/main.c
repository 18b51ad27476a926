// SPDX-License-Identifier: Apache-2.0
// Two CPUs of a Xen domain that want one processor of the host. Command line: busy=MS of work for
// each, which then say how long they were ready to run and did not, and wait for the machine's end.
#include "../lib/xen.h"

static struct runstate told[2];
static u32 ready;

static void work(void)
{
	u32 index = this_cpu()->index;
	u64 end;

	atomic_inc(&ready);
	while (READ_ONCE(ready) < 2)
		pause();
	for (end = deadline_ms(arg_u64("busy", 50)); rdtsc() < end;)
		pause();
	check_equal(hypercall(VCPU_OP, 4, index, (u64)&told[index]), 0);
}

static void contended(void)
{
	xen_begin();
	second_begin(work);
	work();
	second_end();
}

static void shares(void)
{
	for (u32 i = 0; i < 2; i++) {
		check_equal(told[i].state, 0);
		printf("# steal %u %lu\n", i, told[i].time[1]);
	}
	printf("# told\n");
	while (arg_flag("wait"))
		irq_on_halt();
}

const struct test tests[] = {
	{ "contended", contended },
	{ "told", shares },
	{},
};
