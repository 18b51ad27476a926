// SPDX-License-Identifier: Apache-2.0
/*
 * IOAPIC and 8259 pair, driven by pc-testdev's GSI ports. The lines used belong to no device of any
 * machine type.
 */
#include "testdev.h"
#include "tests.h"

void line_set(u32 gsi, u8 level)
{
	outb((u16)(TESTDEV_GSI + gsi), level);
}

void lines_quiet(void)
{
	u32 pin;

	irq_begin();
	pic_init(VEC_PIC);
	for (pin = 0; pin < 16; pin++) {
		ioapic_route(pin, IOAPIC_MASKED, 0);
		if (pin != 0 && pin != 2 && pin != 8) // PIT, cascade, RTC
			line_set(pin, 0);
	}
}

const struct test tests[] = {
	{ "ioapic-pins", ioapic_pins_hold },
	{ "ioapic-edge", ioapic_edge },
	{ "ioapic-edge-masked-is-lost", ioapic_edge_masked_is_lost },
	{ "ioapic-level", ioapic_level },
	{ "ioapic-level-masked-stays-pending", ioapic_level_masked_stays_pending },
	{ "ioapic-remote-irr", ioapic_remote_irr },
	{ "ioapic-two-pins", ioapic_two_pins },
	{ "ioapic-interrupt-window", ioapic_interrupt_window },
	{ "pic-edge", pic_edge },
	{ "pic-masked-stays-pending", pic_masked_stays_pending },
	{ "pic-cascade", pic_cascade },
	{ "pic-priority", pic_priority },
	{ "pic-elcr-level", pic_elcr_level },
	{ "pic-interrupt-window", pic_interrupt_window },
	{},
};
