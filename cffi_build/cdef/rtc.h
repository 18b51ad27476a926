// MC146818 clock and CMOS memory: core/devices/rtc.h.

struct rtc { struct dev dev; ...; };
struct rtc_state {
	uint32_t version, index, weekday_shift;
	int64_t seconds, phase, flags_ns;
	uint8_t cmos[...];
	...;
};
struct rtc *rtc_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock, struct loop *loop,
		       int64_t wall_seconds, uint32_t wall_ns);
void rtc_destroy(struct rtc *r);
void rtc_reset(struct rtc *r);
void rtc_save(struct rtc *r, struct rtc_state *ret);
int rtc_load(struct rtc *r, const struct rtc_state *state);
int rtc_set_time(struct rtc *r, int64_t wall_seconds, uint32_t wall_ns);
int rtc_poke(struct rtc *r, uint32_t index, uint8_t value);
uint8_t rtc_peek(struct rtc *r, uint32_t index);
void rtc_set_irq_off(struct rtc *r, bool off);
