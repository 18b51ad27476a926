// ACPI fixed hardware: core/devices/acpiregs.h, core/devices/pmtimer.h.


enum acpiregs_region {
	ACPIREGS_SLEEP, ACPIREGS_GED, ACPIREGS_PM1_EVENT, ACPIREGS_PM1_CONTROL, ACPIREGS_GPE0, ...
};
#define ACPIREGS_SLP_TYP_S5 ...
#define PM1_TMR ...
#define PM1_GBL ...
#define PM1_PWRBTN ...
#define PM1_SLPBTN ...
#define PM1_RTC ...
#define PM1_WAK_STS ...
struct acpiregs { struct dev dev; ...; };
struct acpiregs_state {
	uint32_t version, ged;
	uint32_t sleep_control, sleep_status, sleep_type;
	uint32_t pm1_status, pm1_enable, pm1_control;
	uint32_t gpe_status, gpe_enable;
	uint64_t tmr_seen;
	...;
};
struct acpiregs *acpiregs_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock,
				 struct loop *loop, uint32_t timer_bits);
void acpiregs_destroy(struct acpiregs *a);
void acpiregs_reset(struct acpiregs *a);
void acpiregs_save(struct acpiregs *a, struct acpiregs_state *ret);
int acpiregs_load(struct acpiregs *a, const struct acpiregs_state *state);
void acpiregs_ged_raise(struct acpiregs *a, uint32_t bits);
void acpiregs_pm1_raise(struct acpiregs *a, uint32_t bits);
void acpiregs_gpe_raise(struct acpiregs *a, uint32_t bits);
void acpiregs_wake(struct acpiregs *a);
uint32_t acpiregs_sleep_type(struct acpiregs *a);

struct pmtimer { struct dev dev; ...; };
struct pmtimer_state { uint32_t version, bits; ...; };
struct pmtimer *pmtimer_create(struct vclock *clock, uint32_t bits);
void pmtimer_destroy(struct pmtimer *t);
void pmtimer_reset(struct pmtimer *t);
void pmtimer_save(struct pmtimer *t, struct pmtimer_state *ret);
int pmtimer_load(struct pmtimer *t, const struct pmtimer_state *state);
