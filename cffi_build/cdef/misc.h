// Small ports: core/devices/pvpanic.h dbgexit.h nullport.h resetport.h postcode.h.

#define PVPANIC_PANICKED ...
#define PVPANIC_CRASH_LOADED ...
struct pvpanic { struct dev dev; ...; };
struct pvpanic_state { uint32_t version, seen; ...; };
struct pvpanic *pvpanic_create(void);
void pvpanic_destroy(struct pvpanic *p);
void pvpanic_reset(struct pvpanic *p);
void pvpanic_save(struct pvpanic *p, struct pvpanic_state *ret);
int pvpanic_load(struct pvpanic *p, const struct pvpanic_state *state);

struct dbgexit { struct dev dev; ...; };
struct dbgexit_state { uint32_t version; ...; };
struct dbgexit *dbgexit_create(void);
void dbgexit_destroy(struct dbgexit *e);
void dbgexit_reset(struct dbgexit *e);
void dbgexit_save(struct dbgexit *e, struct dbgexit_state *ret);
int dbgexit_load(struct dbgexit *e, const struct dbgexit_state *state);

struct nullport { struct dev dev; ...; };
struct nullport_state { uint32_t version; ...; };
struct nullport *nullport_create(void);
void nullport_destroy(struct nullport *n);
void nullport_reset(struct nullport *n);
void nullport_save(struct nullport *n, struct nullport_state *ret);
int nullport_load(struct nullport *n, const struct nullport_state *state);

enum resetport_region { RESETPORT_CF9, RESETPORT_92, ... };
struct resetport { struct dev dev; ...; };
struct resetport_state { uint32_t version, control, port92; ...; };
struct resetport *resetport_create(void);
void resetport_destroy(struct resetport *r);
void resetport_reset(struct resetport *r);
void resetport_save(struct resetport *r, struct resetport_state *ret);
int resetport_load(struct resetport *r, const struct resetport_state *state);

#define POSTCODE_MARKS ...
struct postcode { struct dev dev; ...; };
struct postcode_mark { int64_t ns; uint32_t value; ...; };
struct postcode_state {
	uint32_t version, last;
	uint64_t writes, recorded;
	int64_t ns[...];
	uint8_t value[...];
	...;
};
struct postcode *postcode_create(struct vclock *clock);
void postcode_destroy(struct postcode *p);
void postcode_reset(struct postcode *p);
void postcode_save(struct postcode *p, struct postcode_state *ret);
int postcode_load(struct postcode *p, const struct postcode_state *state);
uint32_t postcode_marks(struct postcode *p, uint64_t from, struct postcode_mark *ret, uint32_t max,
			uint64_t *next);
uint64_t postcode_writes(struct postcode *p);
