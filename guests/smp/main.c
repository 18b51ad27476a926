// SPDX-License-Identifier: Apache-2.0
// Brings up every CPU, counts them, has each answer an IPI. Command line: cpus=N (all CPUs of the
// machine), x2apic.
#include "guest.h"

#define VEC_CALL 0x40
#define SLOW_MS 30000 // 255 CPUs on two cores, emulated, need their time

static u32 expected, answers, checked_in, apic_ids[MAX_CPUS / 32];

static void ap_main(void)
{
	__atomic_fetch_or(&apic_ids[this_cpu()->apic_id / 32], 1u << (this_cpu()->apic_id % 32),
			  __ATOMIC_SEQ_CST);
	atomic_inc(&checked_in);
}

static void on_call(struct frame *f)
{
	(void)f;
	this_cpu()->scratch[0]++;
	apic_eoi();
	atomic_inc(&answers);
}

static void bring_up(void)
{
	expected = (u32)arg_u64("cpus", 1);
	if (arg_flag("x2apic"))
		check(apic_use_x2apic());
	trap_set(VEC_CALL, on_call);
	smp_start(ap_main);
	check(WAIT_FOR(READ_ONCE(checked_in) >= expected - 1, SLOW_MS));
	delay_us(1000); // one too many would show up now
	printf("# %u CPUs\n", smp_count());
	check_equal(smp_count(), expected);
}

static void unique_ids(void)
{
	u32 i, bits = 0;

	for (i = 0; i < MAX_CPUS; i++)
		bits += apic_ids[i / 32] >> (i % 32) & 1;
	check_equal(bits, expected - 1);
	for (i = 1; i < smp_count(); i++)
		check(cpu_at(i)->apic_id != this_cpu()->apic_id);
}

static void ipi_each(void)
{
	u32 i;

	for (i = 1; i < smp_count(); i++) {
		apic_ipi(cpu_at(i)->apic_id, ICR_ASSERT | VEC_CALL);
		if (!WAIT_FOR(READ_ONCE(answers) == i, SLOW_MS)) {
			printf("# CPU %u (APIC %u) does not answer\n", i, cpu_at(i)->apic_id);
			check(READ_ONCE(answers) == i);
			return;
		}
		check_equal(READ_ONCE(cpu_at(i)->scratch[0]), 1);
	}
}

static void ipi_broadcast(void)
{
	u32 before = READ_ONCE(answers);

	apic_ipi(0, ICR_OTHERS | ICR_ASSERT | VEC_CALL);
	check(WAIT_FOR(READ_ONCE(answers) - before == expected - 1, SLOW_MS));
}

/* All at once on one word: lost updates would show that the CPUs do not share memory as they must.
 */
static void shared_memory(void)
{
	check_equal(READ_ONCE(checked_in), expected - 1);
	check_equal(READ_ONCE(answers), 2 * (expected - 1));
}

const struct test tests[] = {
	{ "bring-up", bring_up },	    { "unique-ids", unique_ids },
	{ "ipi-each", ipi_each },	    { "ipi-broadcast", ipi_broadcast },
	{ "shared-memory", shared_memory }, {},
};
