// SPDX-License-Identifier: Apache-2.0
// ACPI PM timer: 3.579545 MHz, 24 or 32 bits. Command line: pm=PORT, else the FADT tells.
#include "guest.h"

#define PM_HZ 3579545

static u16 port;
static u32 mask = 0xffffff;

static void found(void)
{
	const struct acpi_fadt *f = PTR(acpi_find("FACP"));

	port = (u16)arg_u64("pm", f ? f->pm_timer : 0);
	if (f && (f->flags & FADT_PM_TIMER_32))
		mask = 0xffffffff;
	printf("# port %x, mask %x\n", port, mask);
	check(port != 0);
	check(inl(port) != 0xffffffff);
	check_equal(inl(port) & ~mask, 0);
}

static void never_backwards(void)
{
	u32 last = inl(port), v, i, bad = 0;

	for (i = 0; i < 2000; i++) {
		v = inl(port);
		bad += ((v - last) & mask) > mask / 2;
		last = v;
	}
	check_equal(bad, 0);
}

/* Against the TSC over 100 ms. The TSC's rate is only known to KVM guests. */
static void rate(void)
{
	u64 khz = tsc_khz(), start = rdtsc(), ticks;
	u32 a = inl(port), n;

	delay_us(100000);
	n = (inl(port) - a) & mask;
	ticks = rdtsc() - start;
	printf("# %u ticks while the TSC made %lu at %lu kHz\n", n, ticks, khz);
	if (cpuid(0x40000000, 0).ebx == 0x4b4d564b)
		check((u64)n * khz / (PM_HZ / 1000) > ticks * 9 / 10 &&
		      (u64)n * khz / (PM_HZ / 1000) < ticks * 11 / 10);
	check(n > 0);
}

static void writes_do_nothing(void)
{
	u32 before = inl(port);

	outl(port, 0);
	check(((inl(port) - before) & mask) < PM_HZ);
}

const struct test tests[] = {
	{ "found", found },
	{ "never-backwards", never_backwards },
	{ "rate", rate },
	{ "writes-do-nothing", writes_do_nothing },
	{},
};
