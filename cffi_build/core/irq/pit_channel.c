// SPDX-License-Identifier: Apache-2.0
#include "pit_channel.h"

enum {
	// Status byte of the read-back command
	STATUS_OUT = 1 << 7,
	STATUS_NULL = 1 << 6,
	LOW = 1,
	HIGH = 2,
	BOTH = 3,
};

// Modes 1 and 5 are started by the gate, the others by the count.
static bool gate_starts(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static bool periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static bool counting(const struct pit_channel *c)
{
	return c->loaded && (gate_starts(c) ? c->triggered : c->gate);
}

static uint64_t elapsed(const struct pit_channel *c, uint64_t now)
{
	return counting(c) ? now - c->start : c->held;
}

static void restart(struct pit_channel *c, uint64_t now)
{
	if (c->pending)
		c->reload = c->pending;
	c->pending = 0;
	c->start = now;
	c->held = 0;
}

// Takes a pending count at the end of a periodic counter's cycle.
static void advance(struct pit_channel *c, uint64_t now)
{
	if (periodic(c) && c->pending && counting(c) && now - c->start >= c->reload)
		restart(c, c->start + c->reload);
}

void pit_channel_reset(struct pit_channel *c, bool gate)
{
	*c = (struct pit_channel){ .access = BOTH, .gate = gate, .reload = 0x10000 };
}

void pit_channel_control(struct pit_channel *c, uint8_t word)
{
	uint8_t mode = word >> 1 & 7;

	c->mode = mode > 5 ? mode - 4 : mode; // codes 6 and 7 are modes 2 and 3
	c->access = word >> 4 & 3;
	c->bcd = word & 1;
	c->loaded = c->triggered = c->have_low = c->read_high = false;
	c->latched = 0;
	c->status_latched = false;
	c->pending = 0;
	c->held = 0;
}

static uint32_t from_bcd(uint32_t n)
{
	return (n >> 12) * 1000 + (n >> 8 & 0xf) * 100 + (n >> 4 & 0xf) * 10 + (n & 0xf);
}

static uint32_t to_bcd(uint32_t n)
{
	return (n / 1000 % 10) << 12 | (n / 100 % 10) << 8 | (n / 10 % 10) << 4 | n % 10;
}

static void load(struct pit_channel *c, uint32_t written, uint64_t now)
{
	// GUEST: any 16 bits; a digit above 9 counts for what it is worth
	uint32_t count = c->bcd ? from_bcd(written) : written;
	bool running = counting(c);

	if (!count)
		count = c->bcd ? 10000 : 0x10000;
	if (running && periodic(c)) {
		c->start += (now - c->start) / c->reload * c->reload;
		c->pending = count;
		return;
	}
	c->pending = count;
	if (running && gate_starts(c))
		return;
	c->loaded = true;
	restart(c, now);
}

void pit_channel_write(struct pit_channel *c, uint8_t value, uint64_t now)
{
	advance(c, now);
	switch (c->access) {
	case LOW:
		load(c, value, now);
		break;
	case HIGH:
		load(c, (uint32_t)value << 8, now);
		break;
	default:
		c->have_low = !c->have_low;
		if (c->have_low) {
			c->low = value;
			if (c->mode == 0) // the first byte stops the counter, OUT goes low
				c->loaded = false;
		} else {
			load(c, (uint32_t)value << 8 | c->low, now);
		}
	}
}

// What the counting element shows, in binary.
static uint32_t count(const struct pit_channel *c, uint64_t now)
{
	uint32_t n = c->reload, modulus = c->bcd ? 10000 : 0x10000;
	uint64_t e = elapsed(c, now);

	if (!c->loaded)
		return 0;
	if (!periodic(c))
		return (uint32_t)((n + modulus - e % modulus) % modulus);
	uint32_t at = (uint32_t)(e % n), half = (n + 1) / 2;
	if (c->mode == 2)
		return (n - at) % modulus;
	// Mode 3 counts each half down by two, from an even number.
	return ((n & ~1u) - 2 * (at < half ? at : at - half)) % modulus;
}

bool pit_channel_out(struct pit_channel *c, uint64_t now)
{
	advance(c, now);
	uint64_t e = elapsed(c, now);

	switch (c->mode) {
	case 0:
		return c->loaded && e >= c->reload;
	case 1:
		return !counting(c) || e >= c->reload;
	case 2:
		return !counting(c) || e % c->reload != c->reload - 1;
	case 3:
		return !counting(c) || e % c->reload < (c->reload + 1) / 2;
	default:
		return !c->loaded || (gate_starts(c) && !c->triggered) || e != c->reload;
	}
}

uint64_t pit_channel_next_rise(struct pit_channel *c, uint64_t now)
{
	advance(c, now);
	uint64_t e = elapsed(c, now);

	if (!counting(c))
		return PIT_NEVER;
	switch (c->mode) {
	case 2:
	case 3:
		return c->start + (e / c->reload + 1) * c->reload;
	case 0:
	case 1:
		return e < c->reload ? c->start + c->reload : PIT_NEVER;
	default:
		return e <= c->reload ? c->start + c->reload + 1 : PIT_NEVER;
	}
}

void pit_channel_set_gate(struct pit_channel *c, bool gate, uint64_t now)
{
	if (gate == c->gate)
		return;
	advance(c, now);
	if (!gate) {
		if (!gate_starts(c)) {
			c->held = periodic(c) ? 0 : elapsed(c, now);
			c->gate = false;
		}
	} else if (gate_starts(c)) {
		c->triggered = c->loaded;
		restart(c, now);
	} else if (periodic(c)) {
		restart(c, now);
	} else {
		c->start = now - c->held;
	}
	c->gate = gate;
}

void pit_channel_latch_count(struct pit_channel *c, uint64_t now)
{
	if (c->latched)
		return; // until it has been read, later latch commands are ignored
	advance(c, now);
	uint32_t n = count(c, now);
	c->latch = (uint16_t)(c->bcd ? to_bcd(n) : n);
	c->latched = c->access;
}

void pit_channel_latch_status(struct pit_channel *c, uint64_t now)
{
	if (c->status_latched)
		return;
	bool out = pit_channel_out(c, now);
	bool null = !c->loaded || c->pending || (gate_starts(c) && !c->triggered);
	c->status = (uint8_t)((out ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) | c->access << 4 |
			      c->mode << 1 | c->bcd);
	c->status_latched = true;
}

uint8_t pit_channel_read(struct pit_channel *c, uint64_t now)
{
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched) {
		uint8_t part = c->latched & LOW ? LOW : HIGH;
		c->latched &= (uint8_t)~part;
		return (uint8_t)(part == LOW ? c->latch : c->latch >> 8);
	}
	advance(c, now);
	uint32_t n = c->bcd ? to_bcd(count(c, now)) : count(c, now);
	bool high = c->access == HIGH || (c->access == BOTH && c->read_high);
	if (c->access == BOTH)
		c->read_high = !c->read_high;
	return (uint8_t)(high ? n >> 8 : n);
}
