// SPDX-License-Identifier: Apache-2.0
#include "rtc.h"

#include <stdlib.h>

#include "rtc_time.h"

#define NS 1000000000
#define XTAL_HZ 32768
#define UIP_NS 244141 // 8 cycles of the crystal
#define SECONDS_MAX ((int64_t)1 << 40) // beyond any year that the registers can hold

enum {
	SECOND,
	SECOND_ALARM,
	MINUTE,
	MINUTE_ALARM,
	HOUR,
	HOUR_ALARM,
	WEEKDAY,
	DAY,
	MONTH,
	YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
	CENTURY = 0x32,
};

enum {
	A_UIP = 1 << 7,
	A_DV_SHIFT = 4,
	A_DV_RUN = 2,
	B_SET = 1 << 7,
	IRQ_PERIODIC = 1 << 6, // PIE in B, PF in C
	IRQ_ALARM = 1 << 5,
	IRQ_UPDATE = 1 << 4,
	IRQ_BITS = IRQ_PERIODIC | IRQ_ALARM | IRQ_UPDATE,
	B_SQWE = 1 << 3,
	B_DM = 1 << 2,
	B_24 = 1 << 1,
	C_IRQF = 1 << 7,
	D_VRT = 1 << 7,
};

static struct rtc_format format(const struct rtc *r)
{
	return (struct rtc_format){
		.binary = r->cmos[REG_B] & B_DM,
		.hours24 = r->cmos[REG_B] & B_24,
	};
}

static bool chain_runs(const struct rtc *r)
{
	return (r->cmos[REG_A] >> A_DV_SHIFT & 7) == A_DV_RUN;
}

static bool clock_runs(const struct rtc *r)
{
	return chain_runs(r) && !(r->cmos[REG_B] & B_SET);
}

static int64_t second_at(const struct rtc *r, int64_t now)
{
	return r->seconds + (now + r->phase) / NS;
}

// Cycles of the crystal, counted so that every calendar second begins with a multiple of XTAL_HZ.
static uint64_t cycles_at(const struct rtc *r, int64_t now)
{
	return (uint64_t)((unsigned __int128)(now + r->phase) * XTAL_HZ / NS);
}

static int64_t cycles_ns(const struct rtc *r, uint64_t cycles)
{
	return (int64_t)(((unsigned __int128)cycles * NS + XTAL_HZ - 1) / XTAL_HZ) - r->phase;
}

// log2 of the periodic rate in cycles; 0 when there is none. Table 3 of the data sheet: the two fastest
// codes of a 32.768 kHz crystal repeat slower ones.
static uint32_t period_shift(const struct rtc *r)
{
	uint32_t rate = r->cmos[REG_A] & 0xf;

	if (!rate || !chain_runs(r))
		return 0;
	return rate < 3 ? rate + 6 : rate - 1;
}

static int64_t next_alarm(const struct rtc *r, int64_t after)
{
	return rtc_next_alarm(format(r), r->cmos[HOUR_ALARM], r->cmos[MINUTE_ALARM],
			      r->cmos[SECOND_ALARM], after);
}

static uint32_t two_digits(int64_t n)
{
	return (uint32_t)((n % 100 + 100) % 100);
}

// Puts the calendar's present time into the registers.
static void freeze(struct rtc *r, int64_t now)
{
	struct rtc_format f = format(r);
	struct rtc_date date;

	rtc_date_of(second_at(r, now), &date);
	r->cmos[SECOND] = rtc_encode(f, date.second);
	r->cmos[MINUTE] = rtc_encode(f, date.minute);
	r->cmos[HOUR] = rtc_encode_hour(f, date.hour);
	r->cmos[WEEKDAY] = rtc_encode(f, (date.weekday + r->weekday_shift) % 7 + 1);
	r->cmos[DAY] = rtc_encode(f, date.day);
	r->cmos[MONTH] = rtc_encode(f, date.month);
	r->cmos[YEAR] = rtc_encode(f, two_digits(date.year));
	r->cmos[CENTURY] = rtc_encode(f, two_digits((date.year - two_digits(date.year)) / 100));
}

// Takes the calendar's time from the registers.
static void thaw(struct rtc *r, int64_t now)
{
	struct rtc_format f = format(r);
	struct rtc_date date = {
		// GUEST: any bytes; values out of range carry over
		.year = (int64_t)rtc_decode(f, r->cmos[CENTURY]) * 100 +
			rtc_decode(f, r->cmos[YEAR]),
		.month = rtc_decode(f, r->cmos[MONTH]),
		.day = rtc_decode(f, r->cmos[DAY]),
		.hour = rtc_decode_hour(f, r->cmos[HOUR]),
		.minute = rtc_decode(f, r->cmos[MINUTE]),
		.second = rtc_decode(f, r->cmos[SECOND]),
	};
	int64_t seconds = rtc_date_seconds(&date);
	uint32_t weekday = rtc_decode(f, r->cmos[WEEKDAY]);

	r->seconds = seconds - (now + r->phase) / NS;
	rtc_date_of(seconds, &date);
	r->weekday_shift = (weekday % 7 + 13 - date.weekday) % 7;
}

// Brings the flags of register C up to `now`. Must come before anything that they depend on changes.
static void sync_flags(struct rtc *r, int64_t now)
{
	int64_t from = r->flags_ns;
	uint32_t shift = period_shift(r);

	r->flags_ns = now;
	if (now <= from)
		return;
	if (shift && cycles_at(r, now) >> shift != cycles_at(r, from) >> shift)
		r->cmos[REG_C] |= IRQ_PERIODIC;
	if (!clock_runs(r) || second_at(r, now) == second_at(r, from))
		return;
	r->cmos[REG_C] |= IRQ_UPDATE;
	if (next_alarm(r, second_at(r, from)) <= second_at(r, now))
		r->cmos[REG_C] |= IRQ_ALARM;
}

static bool irq_pending(const struct rtc *r)
{
	return r->cmos[REG_B] & r->cmos[REG_C] & IRQ_BITS;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

// When the next enabled interrupt comes; INT64_MAX for never.
static int64_t next_irq(const struct rtc *r, int64_t now)
{
	uint32_t shift = period_shift(r);
	int64_t when = INT64_MAX;

	if ((r->cmos[REG_B] & IRQ_PERIODIC) && shift)
		when = cycles_ns(r, ((cycles_at(r, now) >> shift) + 1) << shift);
	if (!clock_runs(r))
		return when;
	if (r->cmos[REG_B] & IRQ_UPDATE)
		when = earlier(when, ((now + r->phase) / NS + 1) * NS - r->phase);
	if (r->cmos[REG_B] & IRQ_ALARM) {
		int64_t alarm = next_alarm(r, second_at(r, now));
		if (alarm != INT64_MAX)
			when = earlier(when, (alarm - r->seconds) * NS - r->phase);
	}
	return when;
}

// Context: device lock held, flags in step with `now`.
static void update_irq(struct rtc *r, int64_t now)
{
	int64_t when = irq_pending(r) ? INT64_MAX : next_irq(r, now);

	irq_line_set(&r->line, irq_pending(r) && !r->irq_off);
	if (when == INT64_MAX)
		timer_disarm(&r->timer);
	else
		timer_arm(&r->timer, when);
}

static void on_timer(void *opaque)
{
	struct rtc *r = opaque;

	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	sync_flags(r, now);
	update_irq(r, now);
}

static bool is_time(uint32_t index)
{
	return index == SECOND || index == MINUTE || index == HOUR || index == CENTURY ||
	       (index >= WEEKDAY && index <= YEAR);
}

static bool uip(const struct rtc *r, int64_t now)
{
	return clock_runs(r) && (now + r->phase) % NS >= NS - UIP_NS;
}

static uint8_t read_data(struct rtc *r, int64_t now)
{
	uint8_t flags;

	switch (r->index) {
	case REG_A:
		return (uint8_t)(r->cmos[REG_A] | (uip(r, now) ? A_UIP : 0));
	case REG_C:
		sync_flags(r, now);
		flags = (uint8_t)(r->cmos[REG_C] | (irq_pending(r) ? C_IRQF : 0));
		r->cmos[REG_C] = 0;
		update_irq(r, now);
		return flags;
	default:
		if (is_time(r->index) && clock_runs(r))
			freeze(r, now);
		return r->cmos[r->index];
	}
}

// Registers A and B: what runs, how fast, in which format.
static void write_control(struct rtc *r, int64_t now, uint8_t value)
{
	bool chain_ran = chain_runs(r), clock_ran = clock_runs(r);

	if (clock_ran)
		freeze(r, now);
	if (r->index == REG_A)
		r->cmos[REG_A] = value & (uint8_t)~A_UIP;
	else
		r->cmos[REG_B] = value & B_SET ? value & (uint8_t)~IRQ_UPDATE : value;
	// A divider released from reset makes its first update half a second later.
	if (!chain_ran && chain_runs(r))
		r->phase = (NS + NS / 2 - now % NS) % NS;
	if (!clock_ran && clock_runs(r))
		thaw(r, now);
}

static void write_data(struct rtc *r, int64_t now, uint8_t value)
{
	sync_flags(r, now);
	switch (r->index) {
	case REG_A:
	case REG_B:
		write_control(r, now, value);
		break;
	case REG_C:
	case REG_D:
		return;
	default:
		if (is_time(r->index) && clock_runs(r)) {
			freeze(r, now);
			r->cmos[r->index] = value;
			thaw(r, now);
		} else {
			r->cmos[r->index] = value;
		}
	}
	if (r->index <= REG_D || r->index == CENTURY)
		update_irq(r, now);
}

// Byte registers: offset 0 is the index, which cannot be read back, 1 the data.
static int rtc_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct rtc *r = container_of(d, struct rtc, dev);

	(void)region, (void)size;
	if (offset)
		*ret = read_data(r, vclock_ns(r->clock));
	return 0;
}

static int rtc_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t value)
{
	struct rtc *r = container_of(d, struct rtc, dev);

	(void)region, (void)size;
	if (offset)
		write_data(r, vclock_ns(r->clock), (uint8_t)value);
	else
		r->index = value &
			   (RTC_CMOS_BYTES - 1); // GUEST: bit 7 masks NMIs, which nobody raises
	return 0;
}

static const struct dev_ops rtc_ops = {.read = rtc_read, .write = rtc_write};

static void set_time(struct rtc *r, int64_t now, int64_t wall_seconds, uint32_t wall_ns)
{
	r->phase = (NS + (int64_t)wall_ns - now % NS) % NS;
	r->seconds = wall_seconds - (now + r->phase) / NS;
	r->weekday_shift = 0;
	freeze(r, now);
}

struct rtc *rtc_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock, struct loop *loop,
		       int64_t wall_seconds, uint32_t wall_ns)
{
	struct rtc *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	if (timer_init(&r->timer, clock, loop, on_timer, r) < 0) {
		free(r);
		return NULL;
	}
	dev_init(&r->dev, &rtc_ops, DEV_BYTES);
	irq_line_init(&r->line, hub, gsi);
	r->clock = clock;
	r->cmos[REG_A] = A_DV_RUN << A_DV_SHIFT | 6; // 1024 Hz, as firmware leaves it
	r->cmos[REG_B] = B_24;
	r->cmos[REG_D] = D_VRT;
	r->flags_ns = vclock_ns(clock);
	set_time(r, r->flags_ns, wall_seconds, wall_ns % NS);
	return r;
}

void rtc_destroy(struct rtc *r)
{
	timer_deinit(&r->timer);
	irq_line_deinit(&r->line);
	dev_deinit(&r->dev);
	free(r);
}

void rtc_reset(struct rtc *r)
{
	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	r->cmos[REG_B] &= (uint8_t) ~(IRQ_BITS | B_SQWE);
	r->cmos[REG_C] = 0;
	r->flags_ns = now;
	update_irq(r, now);
}

void rtc_save(struct rtc *r, struct rtc_state *ret)
{
	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	sync_flags(r, now);
	if (clock_runs(r))
		freeze(r, now);
	*ret = (struct rtc_state){
		.version = RTC_STATE_VERSION,
		.index = r->index,
		.weekday_shift = r->weekday_shift,
		.seconds = r->seconds,
		.phase = r->phase,
		.flags_ns = r->flags_ns,
	};
	memcpy(ret->cmos, r->cmos, sizeof(ret->cmos));
}

int rtc_load(struct rtc *r, const struct rtc_state *s)
{
	if (s->version != RTC_STATE_VERSION || s->index >= RTC_CMOS_BYTES || s->weekday_shift > 6 ||
	    s->seconds < -SECONDS_MAX || s->seconds > SECONDS_MAX || s->phase < 0 ||
	    s->phase >= NS || s->flags_ns < 0 || (s->cmos[REG_A] & A_UIP) ||
	    (s->cmos[REG_C] & ~IRQ_BITS) || s->cmos[REG_D] != D_VRT)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	r->index = (uint8_t)s->index;
	r->weekday_shift = s->weekday_shift;
	r->seconds = s->seconds;
	r->phase = s->phase;
	r->flags_ns = s->flags_ns;
	memcpy(r->cmos, s->cmos, sizeof(r->cmos));
	update_irq(r, vclock_ns(r->clock));
	return 0;
}

int rtc_set_time(struct rtc *r, int64_t wall_seconds, uint32_t wall_ns)
{
	if (wall_seconds < -SECONDS_MAX || wall_seconds > SECONDS_MAX || wall_ns >= NS)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	sync_flags(r, now);
	set_time(r, now, wall_seconds, wall_ns);
	update_irq(r, now);
	return 0;
}

int rtc_poke(struct rtc *r, uint32_t index, uint8_t value)
{
	if (index <= REG_D || index == CENTURY || index >= RTC_CMOS_BYTES)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	r->cmos[index] = value;
	return 0;
}

uint8_t rtc_peek(struct rtc *r, uint32_t index)
{
	LOCKED(&r->dev.lock);
	return index < RTC_CMOS_BYTES ? r->cmos[index] : 0xff;
}

void rtc_set_irq_off(struct rtc *r, bool off)
{
	LOCKED(&r->dev.lock);
	r->irq_off = off;
	irq_line_set(&r->line, irq_pending(r) && !r->irq_off);
}
