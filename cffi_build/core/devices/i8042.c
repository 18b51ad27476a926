// SPDX-License-Identifier: Apache-2.0
#include "i8042.h"

#include <stdlib.h>

enum {
	// Command byte
	KEYBOARD_IRQ = 1 << 0,
	MOUSE_IRQ = 1 << 1,
	SYSTEM_FLAG = 1 << 2,
	KEYBOARD_OFF = 1 << 4,
	MOUSE_OFF = 1 << 5,
	TRANSLATE = 1 << 6,

	// Commands
	READ_RAM = 0x20, // to 0x3f
	TEST_PASSWORD = 0xa4,
	MOUSE_DISABLE = 0xa7,
	MOUSE_ENABLE = 0xa8,
	MOUSE_TEST = 0xa9,
	SELF_TEST = 0xaa,
	KEYBOARD_TEST = 0xab,
	KEYBOARD_DISABLE = 0xad,
	KEYBOARD_ENABLE = 0xae,
	READ_INPUT = 0xc0,
	READ_OUTPUT = 0xd0,
	LOOP_KEYBOARD = 0xd2, // with data
	LOOP_MOUSE = 0xd3, // with data
	A20_OFF = 0xdd,
	A20_ON = 0xdf,
	READ_TEST = 0xe0,
	PULSE = 0xf0, // to 0xff: output bits whose command bit is 0

	// Output port
	NOT_RESET = 1 << 0,
	A20 = 1 << 1,
	OUTPUT_IDLE = 0xc0, // keyboard clock and data
};

// The bytes our keyboard sends that differ between scan code set 2 and its translation.
static uint8_t translate(uint8_t byte)
{
	switch (byte) {
	case 0x01:
		return 0x43;
	case 0x02:
	case 0x83:
		return 0x41;
	case 0x03:
		return 0x3f;
	default:
		return byte;
	}
}

static void fill(struct i8042 *k, uint8_t byte, bool from_mouse)
{
	k->out = byte;
	k->status |= I8042_OUT_FULL | (from_mouse ? I8042_MOUSE_OUT_FULL : 0);
}

void i8042_update(struct i8042 *k)
{
	uint8_t control = k->ram[0];
	int byte;

	if (!(k->status & I8042_OUT_FULL)) {
		if (k->have_reply) {
			k->have_reply = false;
			fill(k, k->reply, k->reply_from_mouse);
		} else if (!(control & KEYBOARD_OFF) && (byte = ps2_take(&k->keyboard)) >= 0) {
			bool plain = !(control & TRANSLATE);
			fill(k, plain ? (uint8_t)byte : translate((uint8_t)byte), false);
		} else if (!(control & MOUSE_OFF) && (byte = ps2_take(&k->mouse)) >= 0) {
			fill(k, (uint8_t)byte, true);
		}
	}
	bool full = k->status & I8042_OUT_FULL, mouse = k->status & I8042_MOUSE_OUT_FULL;
	irq_line_set(&k->keyboard_irq, full && !mouse && (control & KEYBOARD_IRQ));
	irq_line_set(&k->mouse_irq, full && mouse && (control & MOUSE_IRQ));
}

static void answer(struct i8042 *k, uint8_t byte, bool from_mouse)
{
	k->reply = byte;
	k->reply_from_mouse = from_mouse;
	k->have_reply = true;
}

static uint8_t output_port(const struct i8042 *k)
{
	bool full = k->status & I8042_OUT_FULL, mouse = k->status & I8042_MOUSE_OUT_FULL;

	return (uint8_t)(OUTPUT_IDLE | NOT_RESET | (k->a20 ? A20 : 0) | (full && !mouse) << 4 |
			 (full && mouse) << 5);
}

static int write_output(struct i8042 *k, uint8_t value)
{
	k->a20 = value & A20;
	return value & NOT_RESET ? 0 : DEV_EVENT_RESET;
}

// Commands that switch or set something. False: none of these.
static bool switch_command(struct i8042 *k, uint8_t command)
{
	switch (command) {
	case MOUSE_DISABLE:
		k->ram[0] |= MOUSE_OFF;
		return true;
	case MOUSE_ENABLE:
		k->ram[0] &= (uint8_t)~MOUSE_OFF;
		return true;
	case KEYBOARD_DISABLE:
		k->ram[0] |= KEYBOARD_OFF;
		return true;
	case KEYBOARD_ENABLE:
		k->ram[0] &= (uint8_t)~KEYBOARD_OFF;
		return true;
	case A20_OFF:
	case A20_ON:
		k->a20 = command == A20_ON;
		return true;
	case I8042_WRITE_OUTPUT:
	case LOOP_KEYBOARD:
	case LOOP_MOUSE:
	case I8042_TO_MOUSE:
		k->command = command;
		return true;
	}
	return false;
}

static int command(struct i8042 *k, uint8_t command)
{
	k->command = 0;
	if (switch_command(k, command))
		return 0;
	switch (command) {
	case TEST_PASSWORD:
		answer(k, 0xf1, false); // none set
		return 0;
	case SELF_TEST:
		k->status |= I8042_SYSTEM;
		answer(k, 0x55, false);
		return 0;
	case MOUSE_TEST:
	case KEYBOARD_TEST:
		answer(k, 0x00, false); // no fault
		return 0;
	case READ_INPUT:
		answer(k, 0x80, false); // not locked
		return 0;
	case READ_OUTPUT:
		answer(k, output_port(k), false);
		return 0;
	case READ_TEST:
		answer(k, 0x00, false);
		return 0;
	}
	if ((command & 0xe0) == READ_RAM)
		answer(k, k->ram[command & 0x1f], false);
	else if ((command & 0xe0) == I8042_WRITE_RAM)
		k->command = command;
	else if (command >= PULSE && !(command & NOT_RESET))
		return DEV_EVENT_RESET;
	return 0; // GUEST: unknown commands have no effect
}

static int data(struct i8042 *k, uint8_t value)
{
	uint8_t waiting = k->command;

	k->command = 0;
	switch (waiting) {
	case 0:
		k->ram[0] &= (uint8_t)~KEYBOARD_OFF;
		ps2_write(&k->keyboard, value);
		return 0;
	case I8042_WRITE_OUTPUT:
		return write_output(k, value);
	case LOOP_KEYBOARD:
	case LOOP_MOUSE:
		answer(k, value, waiting == LOOP_MOUSE);
		return 0;
	case I8042_TO_MOUSE:
		k->ram[0] &= (uint8_t)~MOUSE_OFF;
		ps2_write(&k->mouse, value);
		return 0;
	}
	k->ram[waiting & 0x1f] = value; // I8042_WRITE_RAM
	if (waiting == I8042_WRITE_RAM)
		k->status = (uint8_t)((k->status & ~I8042_SYSTEM) |
				      (value & SYSTEM_FLAG ? I8042_SYSTEM : 0));
	return 0;
}

static int i8042_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct i8042 *k = container_of(d, struct i8042, dev);

	(void)offset, (void)size;
	if (region == I8042_COMMAND) {
		*ret = k->status;
		return 0;
	}
	*ret = k->out;
	if (k->status & I8042_OUT_FULL) {
		// The line falls before the next byte raises it: one edge for each byte.
		k->status &= (uint8_t)~(I8042_OUT_FULL | I8042_MOUSE_OUT_FULL);
		irq_line_set(&k->keyboard_irq, 0);
		irq_line_set(&k->mouse_irq, 0);
		i8042_update(k);
	}
	return 0;
}

static int i8042_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		       uint64_t value)
{
	struct i8042 *k = container_of(d, struct i8042, dev);
	bool is_command = region == I8042_COMMAND;
	int event;

	(void)offset, (void)size;
	k->status =
		(uint8_t)((k->status & ~I8042_WAS_COMMAND) | (is_command ? I8042_WAS_COMMAND : 0));
	event = is_command ? command(k, (uint8_t)value) : data(k, (uint8_t)value);
	i8042_update(k);
	return event;
}

static const struct dev_ops i8042_ops = { .read = i8042_read, .write = i8042_write };

struct i8042 *i8042_create(struct irq_hub *hub, uint32_t keyboard_gsi, uint32_t mouse_gsi)
{
	struct i8042 *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	dev_init(&k->dev, &i8042_ops, DEV_BYTES);
	irq_line_init(&k->keyboard_irq, hub, keyboard_gsi);
	irq_line_init(&k->mouse_irq, hub, mouse_gsi);
	i8042_reset(k);
	return k;
}

void i8042_destroy(struct i8042 *k)
{
	irq_line_deinit(&k->keyboard_irq);
	irq_line_deinit(&k->mouse_irq);
	dev_deinit(&k->dev);
	free(k);
}

void i8042_reset(struct i8042 *k)
{
	LOCKED(&k->dev.lock);
	ps2_reset(&k->keyboard, false);
	ps2_reset(&k->mouse, true);
	memset(k->ram, 0, sizeof(k->ram));
	k->ram[0] = TRANSLATE | SYSTEM_FLAG | KEYBOARD_IRQ; // as firmware leaves it
	k->status = I8042_SYSTEM | I8042_UNLOCKED;
	k->out = k->reply = k->command = 0;
	k->have_reply = k->reply_from_mouse = false;
	k->a20 = true;
	i8042_update(k);
}
