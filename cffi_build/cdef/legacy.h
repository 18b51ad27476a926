// Legacy PC devices: core/devices/i8042.h hpet.h legacy_route.h.

enum i8042_region { I8042_DATA, I8042_COMMAND, ... };
struct i8042 { struct dev dev; ...; };
struct i8042_state {
	uint32_t version;
	uint8_t status, out, reply, have_reply, reply_from_mouse, command, a20;
	uint8_t ram[...];
	uint8_t reporting[2], argument_of[2], scan_set[2], resolution[2], rate[2], flags[2], last[2];
	uint8_t count[2];
	uint8_t keyboard_queue[...], mouse_queue[...];
	...;
};
struct i8042 *i8042_create(struct irq_hub *hub, uint32_t keyboard_gsi, uint32_t mouse_gsi);
void i8042_destroy(struct i8042 *k);
void i8042_reset(struct i8042 *k);
void i8042_save(struct i8042 *k, struct i8042_state *ret);
int i8042_load(struct i8042 *k, const struct i8042_state *state);

#define HPET_TICK_NS ...
#define HPET_BYTES ...
#define HPET_MIN_IRQ_NS ...
#define HPET_BLOCK_ID ...
#define HPET_ROUTES ...
struct hpet { struct dev dev; ...; };
struct hpet_state {
	uint32_t version;
	uint64_t config, status, counter, seen;
	uint64_t timer_config[3], comparator[3], period[3];
	...;
};
struct hpet *hpet_create(struct irq_hub *hub, struct vclock *clock, struct loop *loop);
void hpet_destroy(struct hpet *h);
void hpet_reset(struct hpet *h);
void hpet_save(struct hpet *h, struct hpet_state *ret);
int hpet_load(struct hpet *h, const struct hpet_state *state);
void hpet_set_legacy(struct hpet *h, void (*legacy)(void *opaque, int on), void *opaque);

struct legacy_route { ...; };
struct legacy_route *legacy_route_create(struct hpet *hpet, struct pit *pit, struct rtc *rtc, int vm_fd);
void legacy_route_destroy(struct legacy_route *r);
