// SPDX-License-Identifier: Apache-2.0
/*
 * A Xen event from this CPU to itself: from before EVTCHNOP_send to the first instruction of the
 * upcall's handler. The ticks of each are sorted into a histogram of eight classes an octave.
 */
#include "event.h"
#include "xen.h"

#define CLASSES 512
#define PATIENCE 10000000000ull /* ticks */

const struct test tests[] = { {} }; /* what xen.c finds amiss is said all the same */

static u32 port, counts[CLASSES];
static u64 arrived;

static void upcall(struct frame *f)
{
	(void)f;
	WRITE_ONCE(arrived, rdtsc());
	take(&infos[0]);
	apic_eoi();
}

static void begin(void)
{
	wrmsr(XEN_MSR, (u64)pages[3]); /* by which some know that the guest has 64 bits */
	if (map_shared(pages[0]) || place_info(0, (u64)&infos[0]))
		panic("there is no Xen");
	irq_begin();
	trap_set(VEC_CPU, upcall);
	use_vector(0, VEC_CPU);
	port = bind_ipi(0);
	irq_on();
}

static u32 class_of(u64 ticks)
{
	u32 octave = 63 - (u32)__builtin_clzll(ticks | 8);

	return octave * 8 + (ticks >> (octave - 3) & 7);
}

u64 op_event(u64 n)
{
	u64 start, ticks, total = 0;

	if (!port)
		begin();
	for (; n; n--) {
		WRITE_ONCE(arrived, 0);
		start = rdtsc();
		evtchn_op(4, &port);
		while (!READ_ONCE(arrived))
			if (rdtsc() - start > PATIENCE)
				panic("an event was lost");
		ticks = arrived - start;
		counts[class_of(ticks)]++;
		total += ticks;
	}
	return total;
}

void tell_events(void)
{
	for (u32 i = 0; i < CLASSES; i++)
		if (counts[i])
			printf("# event from=%lu n=%u\n", (8ul + i % 8) << i / 8 >> 3, counts[i]);
}
