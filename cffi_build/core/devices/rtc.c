// SPDX-License-Identifier: Apache-2.0
#include "rtc.h"

#include <stdlib.h>

#define NS RTC_NS
#define SECONDS_MAX ((int64_t)1 << 40) // beyond any year that the registers can hold
// Virtual time that may have passed when the calendar is set: 2^63 ns are less.
#define SECONDS_PASSED ((int64_t)1 << 34)

// Context: device lock held, flags in step with `now`.
static void update_irq(struct rtc *r, int64_t now)
{
	struct rtc_clock *c = &r->time;
	int64_t when = rtc_clock_irq(c) ? INT64_MAX : rtc_clock_next_irq(c, now);

	irq_line_set(&r->line, rtc_clock_irq(c) && !r->irq_off);
	if (when == INT64_MAX)
		timer_disarm(&r->timer);
	else
		timer_arm(&r->timer, when);
}

static void on_timer(void *opaque)
{
	struct rtc *r = opaque;
	struct rtc_clock *c = &r->time;

	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	rtc_clock_sync(c, now);
	update_irq(r, now);
}

static uint8_t read_data(struct rtc *r, int64_t now)
{
	struct rtc_clock *c = &r->time;
	uint8_t flags;

	switch (r->index) {
	case RTC_REG_A:
		return (uint8_t)(c->cmos[RTC_REG_A] | (rtc_clock_uip(c, now) ? RTC_A_UIP : 0));
	case RTC_REG_C:
		rtc_clock_sync(c, now);
		flags = (uint8_t)(c->cmos[RTC_REG_C] | (rtc_clock_irq(c) ? RTC_C_IRQF : 0));
		c->cmos[RTC_REG_C] = 0;
		update_irq(r, now);
		return flags;
	default:
		if (unlikely(!rtc_clock_fresh(c, now)) && rtc_clock_is_time(r->index) &&
		    rtc_clock_runs(c))
			rtc_clock_freeze(c, now);
		return c->cmos[r->index];
	}
}

static void write_data(struct rtc *r, int64_t now, uint8_t value)
{
	struct rtc_clock *c = &r->time;

	rtc_clock_sync(c, now);
	switch (r->index) {
	case RTC_REG_A:
	case RTC_REG_B:
		rtc_clock_control(c, now, r->index, value);
		break;
	case RTC_REG_C:
	case RTC_REG_D:
		return;
	default:
		if (rtc_clock_is_time(r->index) && rtc_clock_runs(c)) {
			rtc_clock_freeze(c, now);
			c->cmos[r->index] = value;
			rtc_clock_thaw(c, now);
		} else {
			c->cmos[r->index] = value;
		}
	}
	if (r->index <= RTC_REG_D || r->index == RTC_CENTURY)
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

static const struct dev_ops rtc_ops = { .read = rtc_read, .write = rtc_write };

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
	struct rtc_clock *c = &r->time;

	c->cmos[RTC_REG_A] = RTC_A_DV_RUN << RTC_A_DV_SHIFT | 6; // 1024 Hz, as firmware leaves it
	c->cmos[RTC_REG_B] = RTC_B_24;
	c->cmos[RTC_REG_D] = RTC_D_VRT;
	c->flags_ns = vclock_ns(clock);
	rtc_clock_set(c, c->flags_ns, wall_seconds, wall_ns % NS);
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
	struct rtc_clock *c = &r->time;

	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	c->cmos[RTC_REG_B] &= (uint8_t)~(RTC_IRQ_BITS | RTC_B_SQWE);
	c->cmos[RTC_REG_C] = 0;
	c->flags_ns = now;
	update_irq(r, now);
}

void rtc_save(struct rtc *r, struct rtc_state *ret)
{
	struct rtc_clock *c = &r->time;

	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	rtc_clock_sync(c, now);
	if (rtc_clock_runs(c))
		rtc_clock_freeze(c, now);
	*ret = (struct rtc_state){
		.version = RTC_STATE_VERSION,
		.index = r->index,
		.weekday_shift = c->weekday_shift,
		.seconds = c->seconds,
		.phase = c->phase,
		.flags_ns = c->flags_ns,
	};
	memcpy(ret->cmos, c->cmos, sizeof(ret->cmos));
}

int rtc_load(struct rtc *r, const struct rtc_state *s)
{
	struct rtc_clock *c = &r->time;

	if (s->version != RTC_STATE_VERSION || s->index >= RTC_CMOS_BYTES || s->weekday_shift > 6 ||
	    s->seconds < -SECONDS_MAX - SECONDS_PASSED || s->seconds > SECONDS_MAX ||
	    s->phase < 0 || s->phase >= NS || s->flags_ns < 0 || (s->cmos[RTC_REG_A] & RTC_A_UIP) ||
	    (s->cmos[RTC_REG_C] & ~RTC_IRQ_BITS) || s->cmos[RTC_REG_D] != RTC_D_VRT)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	r->index = (uint8_t)s->index;
	c->weekday_shift = s->weekday_shift;
	c->seconds = s->seconds;
	c->phase = s->phase;
	c->shown_ns = RTC_STALE;
	c->flags_ns = s->flags_ns;
	memcpy(c->cmos, s->cmos, sizeof(c->cmos));
	update_irq(r, vclock_ns(r->clock));
	return 0;
}

int rtc_set_time(struct rtc *r, int64_t wall_seconds, uint32_t wall_ns)
{
	struct rtc_clock *c = &r->time;

	if (wall_seconds < -SECONDS_MAX || wall_seconds > SECONDS_MAX || wall_ns >= NS)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	int64_t now = vclock_ns(r->clock);
	rtc_clock_sync(c, now);
	rtc_clock_set(c, now, wall_seconds, wall_ns);
	update_irq(r, now);
	return 0;
}

int rtc_poke(struct rtc *r, uint32_t index, uint8_t value)
{
	struct rtc_clock *c = &r->time;

	if (index <= RTC_REG_D || index == RTC_CENTURY || index >= RTC_CMOS_BYTES)
		return -EINVAL;
	LOCKED(&r->dev.lock);
	c->cmos[index] = value;
	return 0;
}

uint8_t rtc_peek(struct rtc *r, uint32_t index)
{
	struct rtc_clock *c = &r->time;

	LOCKED(&r->dev.lock);
	return index < RTC_CMOS_BYTES ? c->cmos[index] : 0xff;
}

void rtc_set_irq_off(struct rtc *r, bool off)
{
	struct rtc_clock *c = &r->time;

	LOCKED(&r->dev.lock);
	r->irq_off = off;
	irq_line_set(&r->line, rtc_clock_irq(c) && !r->irq_off);
}
