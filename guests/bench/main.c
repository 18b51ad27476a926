// SPDX-License-Identifier: Apache-2.0
/*
 * What one exit costs: loops over one operation and reports the TSC ticks it took, one line an
 * operation. The same image runs under rawvmm, vmm and QEMU. Command line: ops=a,b,... (default:
 * all but those that need an address), n=N operations a round, rounds=R of which the quickest
 * counts (the others were disturbed), and where the device at hand sits: port= mmio= doorbell=
 * ring= pm= entropy= (entropy.c); event for a Xen guest (event.c).
 */
#include "entropy.h"
#include "event.h"

#define NOBODY_PORT 0x5f00
#define NOBODY_MMIO 0xd0000000
#define WARM_UP 16

static u16 port, doorbell, ring, pm;
static u64 mmio;

/* Each operation has its loop around it, two instructions more: "loop" tells what they cost. */
#define OP(name, ...) \
	static u64 name(u64 n) \
	{ \
		u64 start = rdtsc(); \
		for (; n; n--) { \
			__VA_ARGS__; \
			barrier(); \
		} \
		return rdtsc() - start; \
	}

OP(op_loop, barrier())
OP(op_cpuid, cpuid(0, 0))
OP(op_rdtsc, rdtsc())
OP(op_out80, outb(0x80, 0))
OP(op_in80, inb(0x80))
OP(op_out_nobody, outb(NOBODY_PORT, 0))
OP(op_in_nobody, inb(NOBODY_PORT))
OP(op_mmio_write, write32(NOBODY_MMIO, 0))
OP(op_mmio_read, read32(NOBODY_MMIO))
OP(op_lsr, inb(COM1 + 5))
OP(op_thr, outb(COM1, '.'))
OP(op_rtc, inb(0x71))
OP(op_rtc_indexed, outb(0x70, 0x0a); inb(0x71))
OP(op_pmtimer, inl(pm))
OP(op_out_port, outb(port, 0))
OP(op_in_port, inb(port))
OP(op_write_at, write32(mmio, 0))
OP(op_read_at, read32(mmio))
OP(op_doorbell, outw(doorbell, 0))
OP(op_ring, outb(ring, 0))
/* A byte as a driver without FIFO and interrupt sends it: wait for THRE, write. */
OP(op_serial, serial_char('.'))

static const struct op {
	const char *name;
	u64 (*fn)(u64 n); /* ticks for n operations */
	const char *needs; /* key that must be on the command line */
} ops[] = {
	{ "loop", op_loop, NULL },
	{ "rdtsc", op_rdtsc, NULL },
	{ "cpuid", op_cpuid, NULL },
	{ "out80", op_out80, NULL },
	{ "in80", op_in80, NULL },
	{ "out-nobody", op_out_nobody, NULL },
	{ "in-nobody", op_in_nobody, NULL },
	{ "mmio-write-nobody", op_mmio_write, NULL },
	{ "mmio-read-nobody", op_mmio_read, NULL },
	{ "in-lsr", op_lsr, NULL },
	{ "out-thr", op_thr, NULL },
	{ "serial-byte", op_serial, NULL },
	{ "in-rtc", op_rtc, NULL },
	{ "rtc-indexed", op_rtc_indexed, NULL },
	{ "pmtimer", op_pmtimer, "pm" },
	{ "out-port", op_out_port, "port" },
	{ "in-port", op_in_port, "port" },
	{ "mmio-write-at", op_write_at, "mmio" },
	{ "mmio-read-at", op_read_at, "mmio" },
	{ "doorbell", op_doorbell, "doorbell" },
	{ "ring", op_ring, "ring" },
	{ "entropy", op_entropy, "entropy" },
	{ "event", op_event, "event" },
};

static bool wanted(const struct op *op)
{
	if (arg_flag("ops"))
		return arg_lists("ops", op->name);
	return !op->needs || arg_flag(op->needs);
}

int guest_main(void)
{
	u64 n = arg_u64("n", 1000), rounds = arg_u64("rounds", 3), ticks, least, k;
	unsigned int i, chosen = 0, done = 0;

	port = (u16)arg_u64("port", NOBODY_PORT);
	doorbell = (u16)arg_u64("doorbell", NOBODY_PORT);
	ring = (u16)arg_u64("ring", NOBODY_PORT);
	pm = (u16)arg_u64("pm", NOBODY_PORT);
	mmio = arg_u64("mmio", NOBODY_MMIO);
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		chosen += wanted(&ops[i]);
	printf("KTAP version 1\n1..%u\n", chosen);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!wanted(&ops[i]))
			continue;
		ops[i].fn(WARM_UP);
		least = ops[i].fn(n);
		for (k = 1; k < rounds; k++) {
			ticks = ops[i].fn(n);
			least = ticks < least ? ticks : least;
		}
		printf("# bench op=%s n=%lu ticks=%lu\n", ops[i].name, n, least);
		if (ops[i].fn == op_event)
			tell_events();
		printf("ok %u %s\n", ++done, ops[i].name);
	}
	return chosen && n ? EXIT_PASS : EXIT_FAIL;
}
