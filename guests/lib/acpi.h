/* SPDX-License-Identifier: Apache-2.0 */
/* Finding ACPI tables (ACPI 6.5, 5.2) and ending through them. */
#ifndef GUEST_ACPI_H
#define GUEST_ACPI_H

#include "types.h"

struct acpi_rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length; /* revision 2 on */
	u64 xsdt;
	u8 extended_checksum;
	u8 reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision;
	char creator[4];
	u32 creator_revision;
} __attribute__((packed));

struct acpi_gas {
	u8 space, width, offset, access;
	u64 address;
} __attribute__((packed));

struct acpi_fadt {
	struct acpi_header h;
	u32 facs, dsdt;
	u8 reserved0, profile;
	u16 sci;
	u32 smi_command;
	u8 acpi_enable, acpi_disable, s4bios, pstate;
	u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
	u8 pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
	u8 gpe0_length, gpe1_length, gpe1_base, cst;
	u16 c2_latency, c3_latency, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_arch;
	u8 reserved1;
	u32 flags;
	struct acpi_gas reset;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_facs, x_dsdt;
	struct acpi_gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_gas x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_gas sleep_control, sleep_status;
} __attribute__((packed));

#define FADT_RESET_SUPPORTED (1u << 10)
#define FADT_HW_REDUCED (1u << 20)
#define FADT_PM_TIMER_32 (1u << 8)
#define BOOT_ARCH_LEGACY (1u << 0)
#define BOOT_ARCH_8042 (1u << 1)
#define BOOT_ARCH_NO_RTC (1u << 5)

struct acpi_madt {
	struct acpi_header h;
	u32 lapic, flags;
	u8 entries[];
} __attribute__((packed));

#define MADT_PCAT_COMPAT 1 /* flag: an 8259 pair is there, and with it the other PC interrupts */
#define MADT_LAPIC 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_X2APIC 9

#define ACPI_SLEEP_ENABLE 0x20 /* sleep control register: SLP_EN, SLP_TYP in bits 2-4 */

bool acpi_sum_ok(const void *table, u32 length);
const struct acpi_rsdp *acpi_rsdp(void); /* NULL if there is none */
/* n-th table with that signature; "DSDT" and "FACS" are found through the FADT. NULL if there is
 * none. */
const struct acpi_header *acpi_find(const char *signature);
u32 acpi_tables(void); /* entries of the XSDT (or RSDT) */
const struct acpi_header *acpi_table(u32 index);
/* Next MADT entry of `type` after one (NULL: first), or NULL. */
const u8 *acpi_madt_next(const u8 *after, u8 type);
u32 acpi_irq_to_gsi(u8 irq); /* through the MADT's interrupt source overrides */
/* SLP_TYP of \_S5 read out of the DSDT's bytes; -1 if there is none */
int acpi_s5_type(void);
/* Writes the sleep register (hardware-reduced) or PM1 control; false if the FADT has neither. */
bool acpi_power_off(void);
#endif
