// SPDX-License-Identifier: Apache-2.0
// The ACPI fixed hardware: sleep control and status, the generic event device's register (hardware-
// reduced), PM1 event and control, GPE block 0 (full ACPI). ACPI 6.5, chapters 4.8 and 5.6.9.
//
// One interrupt line serves both kinds: the generic event device's, or the SCI. It is a level: high
// while any enabled event is pending, so nothing is lost whichever trigger mode the guest programs.
#ifndef VMM_ACPIREGS_H
#define VMM_ACPIREGS_H

#include "dev.h"
#include "irq.h"
#include "timer.h"

enum acpiregs_region {
	ACPIREGS_SLEEP, // 2 bytes: SLEEP_CONTROL_REG, SLEEP_STATUS_REG
	ACPIREGS_GED, // 4 bytes: pending events, each byte cleared by reading it
	ACPIREGS_PM1_EVENT, // 4 bytes: status (write 1 to clear), enable
	ACPIREGS_PM1_CONTROL, // 2 bytes
	ACPIREGS_GPE0, // 4 bytes: status (write 1 to clear), enable
};

enum {
	ACPIREGS_SLP_TYP_S5 = 5, // what the DSDT's \_S5 object says
	ACPIREGS_STATE_VERSION = 1,
};

// PM1 status and enable bits (ACPI 6.5, tables 4.16 and 4.17).
enum {
	PM1_TMR = 1u << 0,
	PM1_GBL = 1u << 5,
	PM1_PWRBTN = 1u << 8,
	PM1_SLPBTN = 1u << 9,
	PM1_RTC = 1u << 10,
	PM1_WAK_STS = 1u << 15,
};

struct acpiregs {
	struct dev dev;
	struct irq_line line;
	struct vclock *clock;
	struct timer timer; // next carry of the PM timer while TMR_EN waits for it
	uint32_t tmr_shift; // bit of the PM timer whose changes set TMR_STS; 0: no PM timer
	uint64_t tmr_seen; // carries acknowledged so far
	uint32_t ged; // pending events
	uint8_t sleep_control, sleep_status;
	uint8_t sleep_type; // SLP_TYP of the last SLP_EN
	uint16_t pm1_status, pm1_enable, pm1_control;
	uint16_t gpe_status, gpe_enable;
};

struct acpiregs_state {
	uint32_t version;
	uint32_t ged;
	uint32_t sleep_control, sleep_status, sleep_type;
	uint32_t pm1_status, pm1_enable, pm1_control;
	uint32_t gpe_status, gpe_enable;
	uint64_t tmr_seen;
};

// timer_bits: width of the PM timer beside it, 24 or 32; 0 when there is none (hardware-reduced):
// then clock and loop are not used. loop may also be NULL with a manual clock.
struct acpiregs *acpiregs_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock,
				 struct loop *loop, uint32_t timer_bits);
void acpiregs_destroy(struct acpiregs *a);
void acpiregs_reset(struct acpiregs *a);
void acpiregs_save(struct acpiregs *a, struct acpiregs_state *ret);
int acpiregs_load(struct acpiregs *a, const struct acpiregs_state *state);

// Events from the VMM; any thread.
void acpiregs_ged_raise(struct acpiregs *a, uint32_t bits);
// bits: of enum PM1_*; the button, wake and global bits only.
void acpiregs_pm1_raise(struct acpiregs *a, uint32_t bits);
void acpiregs_gpe_raise(struct acpiregs *a, uint32_t bits);
// The machine wakes from a sleep state: WAK_STS in both status registers.
void acpiregs_wake(struct acpiregs *a);
// SLP_TYP that the guest asked for when DEV_EVENT_SLEEP or DEV_EVENT_POWER_OFF was last returned.
uint32_t acpiregs_sleep_type(struct acpiregs *a);

#endif
