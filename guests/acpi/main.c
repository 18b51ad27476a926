// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the ACPI tables as an operating system would and ends by powering off through the FADT.
 * Command line: cpus=N, reduced (hardware-reduced ACPI is expected), no-power-off (leave through
 * isa-debug-exit).
 */
#include "guest.h"

static void rsdp(void)
{
	const struct acpi_rsdp *r = acpi_rsdp();

	check(r != NULL);
	if (!r)
		return;
	printf("# RSDP at %p, revision %u\n", r, r->revision);
	check(r->revision == 0 || acpi_sum_ok(r, r->length));
	check(r->revision == 0 || r->length == 36);
}

static void checksums(void)
{
	u32 i, n = acpi_tables();
	const struct acpi_header *h;

	check(n > 0);
	for (i = 0; i < n; i++) {
		h = acpi_table(i);
		printf("# %c%c%c%c at %p, %u bytes\n", h->signature[0], h->signature[1],
		       h->signature[2], h->signature[3], h, h->length);
		check(h->length >= sizeof(*h) && h->length < 0x100000);
		check(acpi_sum_ok(h, h->length));
	}
}

static void fadt(void)
{
	const struct acpi_fadt *f = PTR(acpi_find("FACP"));
	const struct acpi_header *dsdt = acpi_find("DSDT");

	check(f != NULL);
	check(dsdt && !memcmp(dsdt->signature, "DSDT", 4) && acpi_sum_ok(dsdt, dsdt->length));
	if (!f)
		return;
	printf("# flags %x, boot architecture %x\n", f->flags, f->boot_arch);
	check_equal(!!(f->flags & FADT_HW_REDUCED), arg_flag("reduced"));
	if (f->flags & FADT_HW_REDUCED)
		check(f->h.length >= 268 && f->sleep_control.address && f->sleep_status.address);
	else
		check(f->pm1a_event && f->pm1a_control && f->facs + f->x_facs);
	check(acpi_s5_type() >= 0);
}

static void madt(void)
{
	const u8 *p = NULL;
	u32 cpus = 0;

	check(acpi_find("APIC") != NULL);
	while ((p = acpi_madt_next(p, MADT_LAPIC)))
		cpus += p[4] & 1;
	while ((p = acpi_madt_next(p, MADT_X2APIC)))
		cpus += p[8] & 1;
	check_equal(cpus, arg_u64("cpus", 1));
	p = acpi_madt_next(NULL, MADT_IOAPIC);
	check(p && *(const u32 *)(p + 4) == IOAPIC_BASE && *(const u32 *)(p + 8) == 0);
}

/* Tables must lie where the memory map does not offer RAM for use. */
static void reserved_memory(void)
{
	const struct pvh_start_info *info = PTR(boot_info);
	const struct pvh_mmap *map = PTR(info->memmap_paddr);
	u64 at;
	u32 i, k;

	if (boot_kind != BOOT_PVH || !info->memmap_entries) {
		printf("# no PVH memory map to compare with\n");
		return;
	}
	for (i = 0; i < acpi_tables(); i++) {
		at = (u64)acpi_table(i);
		for (k = 0; k < info->memmap_entries; k++)
			check(map[k].type != 1 || at + acpi_table(i)->length <= map[k].addr ||
			      at >= map[k].addr + map[k].size);
	}
}

const struct test tests[] = {
	{ "rsdp", rsdp },
	{ "checksums", checksums },
	{ "fadt", fadt },
	{ "madt", madt },
	{ "reserved-memory", reserved_memory },
	{},
};

int guest_main(void)
{
	int verdict = ktap_run();

	if (arg_flag("no-power-off") || verdict != EXIT_PASS)
		return verdict;
	if (!acpi_power_off())
		panic("the FADT offers no way to power off");
	delay_us(1000000);
	panic("still running after the power was cut");
}
