// SPDX-License-Identifier: Apache-2.0
// Saving and restoring the keyboard controller with its devices.
#include "i8042.h"

static void save_ps2(const struct ps2 *p, struct i8042_state *ret, uint32_t i, uint8_t *queue)
{
	ret->reporting[i] = p->reporting;
	ret->argument_of[i] = p->argument_of;
	ret->scan_set[i] = p->scan_set;
	ret->resolution[i] = p->resolution;
	ret->rate[i] = p->rate;
	ret->flags[i] = p->flags;
	ret->last[i] = p->last;
	ret->count[i] = p->count;
	for (uint32_t n = 0; n < p->count; n++)
		queue[n] = p->queue[(p->head + n) % PS2_QUEUE];
}

void i8042_save(struct i8042 *k, struct i8042_state *ret)
{
	LOCKED(&k->dev.lock);
	memset(ret, 0, sizeof(*ret));
	ret->version = I8042_STATE_VERSION;
	ret->status = k->status;
	ret->out = k->out;
	ret->reply = k->reply;
	ret->have_reply = k->have_reply;
	ret->reply_from_mouse = k->reply_from_mouse;
	ret->command = k->command;
	ret->a20 = k->a20;
	memcpy(ret->ram, k->ram, sizeof(ret->ram));
	save_ps2(&k->keyboard, ret, 0, ret->keyboard_queue);
	save_ps2(&k->mouse, ret, 1, ret->mouse_queue);
}

static void load_ps2(struct ps2 *p, const struct i8042_state *s, uint32_t i, const uint8_t *queue)
{
	*p = (struct ps2){
		.mouse = i == 1,
		.reporting = s->reporting[i],
		.argument_of = s->argument_of[i],
		.scan_set = s->scan_set[i],
		.resolution = s->resolution[i],
		.rate = s->rate[i],
		.flags = s->flags[i],
		.last = s->last[i],
		.count = s->count[i],
	};
	memcpy(p->queue, queue, PS2_QUEUE);
}

static bool takes_data(uint8_t command)
{
	return !command || (command & 0xe0) == I8042_WRITE_RAM ||
	       (command >= I8042_WRITE_OUTPUT && command <= I8042_TO_MOUSE);
}

int i8042_load(struct i8042 *k, const struct i8042_state *s)
{
	uint8_t flags =
		s->have_reply | s->reply_from_mouse | s->a20 | s->reporting[0] | s->reporting[1];

	if (s->version != I8042_STATE_VERSION || flags > 1 || !takes_data(s->command) ||
	    s->status & ~I8042_STATUS_BITS ||
	    (s->status & (I8042_OUT_FULL | I8042_MOUSE_OUT_FULL)) == I8042_MOUSE_OUT_FULL)
		return -EINVAL;
	for (uint32_t i = 0; i < 2; i++) {
		if (s->count[i] > PS2_QUEUE || s->scan_set[i] < 1 || s->scan_set[i] > 3 ||
		    s->resolution[i] > 3)
			return -EINVAL;
	}
	LOCKED(&k->dev.lock);
	k->status = s->status;
	k->out = s->out;
	k->reply = s->reply;
	k->have_reply = s->have_reply;
	k->reply_from_mouse = s->reply_from_mouse;
	k->command = s->command;
	k->a20 = s->a20;
	memcpy(k->ram, s->ram, sizeof(k->ram));
	load_ps2(&k->keyboard, s, 0, s->keyboard_queue);
	load_ps2(&k->mouse, s, 1, s->mouse_queue);
	i8042_update(k);
	return 0;
}
