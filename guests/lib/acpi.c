// SPDX-License-Identifier: Apache-2.0
#include "acpi.h"
#include "boot.h"
#include "cpu.h"

#define RSDP_SIGNATURE 0x2052545020445352 // "RSD PTR "
#define BDA_EBDA_SEGMENT 0x40e
#define BOOT_PARAMS_RSDP 0x70 // struct boot_params.acpi_rsdp_addr

bool acpi_sum_ok(const void *table, u32 length)
{
	const u8 *p = table;
	u8 sum = 0;

	while (length--)
		sum = (u8)(sum + *p++);
	return sum == 0;
}

static bool is_rsdp(u64 at)
{
	return read64(at) == RSDP_SIGNATURE && acpi_sum_ok(PTR(at), 20);
}

static u64 scan(u64 from, u64 to)
{
	for (; from < to; from += 16)
		if (is_rsdp(from))
			return from;
	return 0;
}

const struct acpi_rsdp *acpi_rsdp(void)
{
	const struct pvh_start_info *pvh = PTR(boot_info);
	static u64 found; // looked for once: the scan is slow where the guest is emulated
	u64 at = found, ebda = (u64)read16(BDA_EBDA_SEGMENT) << 4;

	if (at)
		return PTR(at);
	if (boot_kind == BOOT_PVH)
		at = pvh->rsdp_paddr;
	else if (boot_kind == BOOT_LINUX64)
		at = *(u64 *)(boot_info + BOOT_PARAMS_RSDP);
	if (!at)
		at = scan(0xe0000, 0x100000);
	if (!at)
		at = scan(ebda, ebda + 1024);
	found = at && is_rsdp(at) ? at : 0;
	return PTR(found);
}

static const struct acpi_header *root(u32 *ret_width)
{
	const struct acpi_rsdp *r = acpi_rsdp();

	if (!r)
		return NULL;
	*ret_width = r->revision >= 2 && r->xsdt ? 8 : 4;
	return *ret_width == 8 ? PTR(r->xsdt) : PTR(r->rsdt);
}

u32 acpi_tables(void)
{
	u32 width = 8;
	const struct acpi_header *h = root(&width);

	return h ? (h->length - sizeof(*h)) / width : 0;
}

const struct acpi_header *acpi_table(u32 index)
{
	u32 width = 8;
	const struct acpi_header *h = root(&width);
	u64 at = 0;

	memcpy(&at, (const u8 *)(h + 1) + index * width, width);
	return PTR(at);
}

static const struct acpi_header *through_fadt(bool dsdt)
{
	const struct acpi_fadt *f = PTR(acpi_find("FACP"));

	if (!f)
		return NULL;
	if (dsdt)
		return f->h.length >= 148 && f->x_dsdt ? PTR(f->x_dsdt) : PTR(f->dsdt);
	return f->h.length >= 140 && f->x_facs ? PTR(f->x_facs) : PTR(f->facs);
}

const struct acpi_header *acpi_find(const char *signature)
{
	u32 i, n = acpi_tables();

	if (!memcmp(signature, "DSDT", 4) || !memcmp(signature, "FACS", 4))
		return through_fadt(*signature == 'D');
	for (i = 0; i < n; i++)
		if (!memcmp(acpi_table(i)->signature, signature, 4))
			return acpi_table(i);
	return NULL;
}

const u8 *acpi_madt_next(const u8 *after, u8 type)
{
	const struct acpi_madt *m = PTR(acpi_find("APIC"));
	const u8 *p, *end;

	if (!m)
		return NULL;
	end = (const u8 *)m + m->h.length;
	p = after ? after + after[1] : m->entries;
	for (; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1])
		if (p[0] == type)
			return p;
	return NULL;
}

u32 acpi_irq_to_gsi(u8 irq)
{
	const u8 *p = NULL;
	u32 gsi;

	while ((p = acpi_madt_next(p, MADT_OVERRIDE))) {
		memcpy(&gsi, p + 4, 4);
		if (p[3] == irq)
			return gsi;
	}
	return irq;
}

/* AML of Name (_S5, Package () { a, ... }): NameOp "_S5_" PackageOp PkgLength NumElements a */
int acpi_s5_type(void)
{
	const struct acpi_header *d = acpi_find("DSDT");
	const u8 *p = (const u8 *)d, *end = d ? p + d->length : p;

	for (; p && p + 9 <= end; p++) {
		if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
			continue;
		p += 6 + (p[5] >> 6); // PkgLength takes 1 to 4 bytes
		p++; // NumElements
		if (*p == 0x0a) // BytePrefix
			return p[1];
		return *p <= 1 ? *p : -1; // ZeroOp, OneOp
	}
	return -1;
}

bool acpi_power_off(void)
{
	const struct acpi_fadt *f = PTR(acpi_find("FACP"));
	int type = acpi_s5_type();

	if (!f || type < 0)
		return false;
	if ((f->flags & FADT_HW_REDUCED) && f->h.length >= 256) {
		if (!f->sleep_control.address)
			return false;
		if (f->sleep_control.space == 1)
			outb((u16)f->sleep_control.address, (u8)(ACPI_SLEEP_ENABLE | type << 2));
		else
			write8(f->sleep_control.address, (u8)(ACPI_SLEEP_ENABLE | type << 2));
		return true;
	}
	if (!f->pm1a_control)
		return false;
	outw((u16)f->pm1a_control, (u16)(1 << 13 | type << 10));
	return true;
}
