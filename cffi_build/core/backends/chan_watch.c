// SPDX-License-Identifier: Apache-2.0
// The watch for the kernel's panic line in a channel's output.
#include "chan_impl.h"

static const char panic_text[] = "Kernel panic - not syncing";

void chan_post_panic(struct chan *c)
{
	c->panic_due = loop_post(c->loop, LOOP_PANIC_LINE, 0, c) != 0;
	if (c->panic_due)
		chan_defer(c, CHAN_FLUSH_NS);
}

// GUEST: buf.
void chan_watch_bytes(struct chan *c, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (c->line == LINE_REST) {
			const uint8_t *end = memchr(buf + i, '\n', len - i);
			if (!end)
				return;
			i = (size_t)(end - buf);
		}
		uint8_t byte = buf[i];
		if (byte == '\n') {
			c->line = LINE_PREFIX;
		} else if (c->line == LINE_PREFIX) {
			c->matched = byte == (uint8_t)panic_text[0];
			if (c->matched)
				c->line = LINE_MATCH;
			else if (!byte || !strchr("<>[] .TC0123456789\r", byte))
				c->line = LINE_REST;
		} else if (byte != (uint8_t)panic_text[c->matched]) {
			c->line = LINE_REST;
		} else if (++c->matched == sizeof(panic_text) - 1) {
			c->line = LINE_REST;
			chan_post_panic(c);
		}
	}
}

void chan_watch_ring(struct chan *c)
{
	while (c->panic_watch && c->watched_at < c->put_at) {
		uint64_t at = c->watched_at & (c->size - 1), n = c->put_at - c->watched_at;
		if (n > c->size - at)
			n = c->size - at;
		chan_watch_bytes(c, c->ring + at, n);
		c->watched_at += n;
	}
}

void chan_watch_panic(struct chan *c, bool on)
{
	LOCKED(&c->lock);
	c->panic_watch = on;
	c->watched_at = c->put_at;
	c->line = LINE_REST; // the next whole line on
	if (on && !c->put_at)
		c->line = LINE_PREFIX;
}
