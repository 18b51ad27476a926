// SPDX-License-Identifier: Apache-2.0
#include "acpiregs.h"

#include <stdlib.h>

#include "pmtimer.h"

enum {
	// SLEEP_CONTROL_REG (ACPI 6.5, table 4.25)
	SLEEP_TYP_SHIFT = 2,
	SLEEP_EN = 1 << 5,
	SLEEP_CONTROL_KEPT = 7 << SLEEP_TYP_SHIFT,
	// SLEEP_STATUS_REG (table 4.26)
	SLEEP_WAK_STS = 1 << 7,
	// PM1 control (table 4.18)
	PM1_SCI_EN = 1 << 0,
	PM1_BM_RLD = 1 << 1,
	PM1_SLP_TYP_SHIFT = 10,
	PM1_SLP_EN_HIGH = 1 << 5, // in the high byte
	PM1_CONTROL_KEPT = PM1_BM_RLD | 7 << PM1_SLP_TYP_SHIFT,

	PM1_ENABLE_BITS = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC,
	PM1_STATUS_BITS = PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC | PM1_WAK_STS,
};

// How often TMR_STS's bit of the PM timer has changed; always 0 without a PM timer.
static uint64_t carries(const struct acpiregs *a)
{
	if (!a->tmr_shift)
		return 0;
	return pmtimer_ticks(vclock_ns(a->clock)) >> a->tmr_shift;
}

// PM1 status with TMR_STS, which is a matter of time and therefore not stored.
static uint32_t pm1_status(const struct acpiregs *a)
{
	return a->pm1_status | (carries(a) != a->tmr_seen ? PM1_TMR : 0u);
}

// Sets the line to what is pending and arms the timer for what is not yet. Context: device lock
// held.
static void update(struct acpiregs *a)
{
	uint32_t pm1 = pm1_status(a) & a->pm1_enable;
	bool wait_for_carry = (a->pm1_enable & PM1_TMR) && !(pm1 & PM1_TMR);

	irq_line_set(&a->line, a->ged || pm1 || (a->gpe_status & a->gpe_enable));
	if (!a->tmr_shift)
		return;
	if (wait_for_carry)
		timer_arm(&a->timer, pmtimer_ns((a->tmr_seen + 1) << a->tmr_shift));
	else
		timer_disarm(&a->timer);
}

static void carry(void *opaque)
{
	struct acpiregs *a = opaque;

	LOCKED(&a->dev.lock);
	update(a);
}

static uint8_t byte_of(uint32_t value, uint64_t offset)
{
	return (uint8_t)(value >> (8 * offset));
}

static uint8_t ged_take(struct acpiregs *a, uint64_t offset)
{
	uint8_t pending = byte_of(a->ged, offset);

	a->ged &= ~((uint32_t)pending << (8 * offset));
	if (pending)
		update(a);
	return pending;
}

// Byte registers: offset lies within the region's 2 or 4 bytes.
static int acpiregs_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			 uint64_t *ret)
{
	struct acpiregs *a = container_of(d, struct acpiregs, dev);

	(void)size;
	switch (region) {
	case ACPIREGS_SLEEP:
		*ret = offset ? a->sleep_status : a->sleep_control;
		break;
	case ACPIREGS_GED:
		*ret = ged_take(a, offset);
		break;
	case ACPIREGS_PM1_EVENT:
		*ret = byte_of(pm1_status(a) | (uint32_t)a->pm1_enable << 16, offset);
		break;
	case ACPIREGS_PM1_CONTROL:
		// No SMI command port exists, so the machine is always in ACPI mode.
		*ret = byte_of(a->pm1_control | PM1_SCI_EN, offset);
		break;
	case ACPIREGS_GPE0:
		*ret = byte_of(a->gpe_status | (uint32_t)a->gpe_enable << 16, offset);
		break;
	}
	return 0;
}

static int enter_sleep(struct acpiregs *a, uint32_t type)
{
	a->sleep_type = (uint8_t)type;
	return type == ACPIREGS_SLP_TYP_S5 ? DEV_EVENT_POWER_OFF : DEV_EVENT_SLEEP;
}

// Replaces the byte at `offset` of the 16-bit register `old`, keeping only the bits of `mask`.
static uint16_t put_byte(uint32_t old, uint64_t offset, uint32_t value, uint32_t mask)
{
	uint32_t shift = offset ? 8 : 0;

	return (uint16_t)(((old & ~(0xffu << shift)) | (value << shift)) & mask);
}

static void pm1_event_write(struct acpiregs *a, uint64_t offset, uint32_t value)
{
	if (offset >= 2)
		a->pm1_enable = put_byte(a->pm1_enable, offset - 2, value, PM1_ENABLE_BITS);
	else
		a->pm1_status &= (uint16_t)~(value << (8 * offset));
	if (offset == 0 && (value & PM1_TMR))
		a->tmr_seen = carries(a);
	update(a);
}

static void gpe_write(struct acpiregs *a, uint64_t offset, uint32_t value)
{
	if (offset >= 2)
		a->gpe_enable = put_byte(a->gpe_enable, offset - 2, value, 0xffff);
	else
		a->gpe_status &= (uint16_t)~(value << (8 * offset));
	update(a);
}

static int acpiregs_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
			  uint64_t value)
{
	struct acpiregs *a = container_of(d, struct acpiregs, dev);
	uint32_t byte = (uint8_t)value; // GUEST: any bit pattern

	(void)size;
	switch (region) {
	case ACPIREGS_SLEEP:
		if (offset) {
			a->sleep_status &= (uint8_t)~(byte & SLEEP_WAK_STS);
			return 0;
		}
		a->sleep_control = (uint8_t)(byte & SLEEP_CONTROL_KEPT);
		return byte & SLEEP_EN ? enter_sleep(a, byte >> SLEEP_TYP_SHIFT & 7) : 0;
	case ACPIREGS_PM1_EVENT:
		pm1_event_write(a, offset, byte);
		return 0;
	case ACPIREGS_PM1_CONTROL:
		a->pm1_control = put_byte(a->pm1_control, offset, byte, PM1_CONTROL_KEPT);
		if (offset && (byte & PM1_SLP_EN_HIGH))
			return enter_sleep(a, (uint32_t)a->pm1_control >> PM1_SLP_TYP_SHIFT & 7);
		return 0;
	case ACPIREGS_GPE0:
		gpe_write(a, offset, byte);
		return 0;
	}
	return 0; // the event register is read-only
}

static const struct dev_ops acpiregs_ops = { .read = acpiregs_read, .write = acpiregs_write };

struct acpiregs *acpiregs_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock,
				 struct loop *loop, uint32_t timer_bits)
{
	struct acpiregs *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (timer_bits && timer_init(&a->timer, clock, loop, carry, a) < 0) {
		free(a);
		return NULL;
	}
	dev_init(&a->dev, &acpiregs_ops, DEV_BYTES);
	irq_line_init(&a->line, hub, gsi);
	a->clock = clock;
	a->tmr_shift = timer_bits ? timer_bits - 1 : 0;
	a->tmr_seen = carries(a);
	return a;
}

void acpiregs_destroy(struct acpiregs *a)
{
	timer_deinit(&a->timer);
	irq_line_deinit(&a->line);
	dev_deinit(&a->dev);
	free(a);
}

void acpiregs_reset(struct acpiregs *a)
{
	LOCKED(&a->dev.lock);
	a->ged = 0;
	a->sleep_control = a->sleep_status = a->sleep_type = 0;
	a->pm1_status = a->pm1_enable = a->pm1_control = 0;
	a->gpe_status = a->gpe_enable = 0;
	a->tmr_seen = carries(a);
	update(a);
}

void acpiregs_save(struct acpiregs *a, struct acpiregs_state *ret)
{
	LOCKED(&a->dev.lock);
	*ret = (struct acpiregs_state){
		.version = ACPIREGS_STATE_VERSION,
		.ged = a->ged,
		.sleep_control = a->sleep_control,
		.sleep_status = a->sleep_status,
		.sleep_type = a->sleep_type,
		.pm1_status = a->pm1_status,
		.pm1_enable = a->pm1_enable,
		.pm1_control = a->pm1_control,
		.gpe_status = a->gpe_status,
		.gpe_enable = a->gpe_enable,
		.tmr_seen = a->tmr_seen,
	};
}

int acpiregs_load(struct acpiregs *a, const struct acpiregs_state *s)
{
	if (s->version != ACPIREGS_STATE_VERSION ||
	    s->sleep_control & ~(uint32_t)SLEEP_CONTROL_KEPT ||
	    s->sleep_status & ~(uint32_t)SLEEP_WAK_STS || s->sleep_type > 7 ||
	    s->pm1_status & ~(uint32_t)PM1_STATUS_BITS ||
	    s->pm1_enable & ~(uint32_t)PM1_ENABLE_BITS ||
	    s->pm1_control & ~(uint32_t)PM1_CONTROL_KEPT || s->gpe_status > 0xffff ||
	    s->gpe_enable > 0xffff || s->tmr_seen > (UINT64_MAX >> 32))
		return -EINVAL;
	LOCKED(&a->dev.lock);
	a->ged = s->ged;
	a->sleep_control = (uint8_t)s->sleep_control;
	a->sleep_status = (uint8_t)s->sleep_status;
	a->sleep_type = (uint8_t)s->sleep_type;
	a->pm1_status = (uint16_t)s->pm1_status;
	a->pm1_enable = (uint16_t)s->pm1_enable;
	a->pm1_control = (uint16_t)s->pm1_control;
	a->gpe_status = (uint16_t)s->gpe_status;
	a->gpe_enable = (uint16_t)s->gpe_enable;
	a->tmr_seen = s->tmr_seen;
	update(a);
	return 0;
}

void acpiregs_ged_raise(struct acpiregs *a, uint32_t bits)
{
	LOCKED(&a->dev.lock);
	a->ged |= bits;
	update(a);
}

void acpiregs_pm1_raise(struct acpiregs *a, uint32_t bits)
{
	LOCKED(&a->dev.lock);
	a->pm1_status |= (uint16_t)(bits & PM1_STATUS_BITS);
	update(a);
}

void acpiregs_gpe_raise(struct acpiregs *a, uint32_t bits)
{
	LOCKED(&a->dev.lock);
	a->gpe_status |= (uint16_t)bits;
	update(a);
}

void acpiregs_wake(struct acpiregs *a)
{
	LOCKED(&a->dev.lock);
	a->sleep_status |= SLEEP_WAK_STS;
	a->pm1_status |= PM1_WAK_STS;
}

uint32_t acpiregs_sleep_type(struct acpiregs *a)
{
	LOCKED(&a->dev.lock);
	return a->sleep_type;
}
