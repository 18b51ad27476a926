// SPDX-License-Identifier: Apache-2.0
// The split irqchip: 8259 pair, I/O APIC and 8254 behind one hub, lines and EOIs in any order.
#include "fuzz.h"
#include "pit.h"
#include "split_sink.h"

#define LINES 48

struct rig {
	struct vclock *clock;
	struct irq_hub *hub;
	struct pic *pic;
	struct ioapic *ioapic;
	struct pit *pit;
	struct irq_line line[LINES];
};

static int message(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	MUST(address >> 20 == 0xfee && !(data >> 16));
	return 1;
}

static void access_chips(struct rig *r, struct input *in)
{
	const struct registers registers[] = {
		{ &r->pic->dev, 3, 2, 1 },
		{ &r->ioapic->dev, 1, 0x100, 8 },
		{ &r->pit->dev, 1, 4, 1 },
		{ &r->pic->dev, 2, 2, 1 },
	};
	uint8_t which = (uint8_t)take(in, 1);

	if (which % 8 == 1) { // the index register, and then most often the window
		lock_take(&r->ioapic->dev.lock);
		r->ioapic->dev.ops->write(&r->ioapic->dev, 0, 0, 4, take(in, 1));
		uint64_t value = take(in, 4);
		r->ioapic->dev.ops->write(&r->ioapic->dev, 0, 0x10, 4, value);
		lock_drop(&r->ioapic->dev.lock);
	} else {
		access_registers(in, &registers[which % ARRAY_LEN(registers)]);
	}
}

static void one_step(struct rig *r, struct input *in)
{
	switch (take(in, 1) % 16) {
	case 0:
		step_clock(in, r->clock);
		break;
	case 1:
		FUZZ_STATE(pic, r->pic, in);
		break;
	case 2:
		FUZZ_STATE(ioapic, r->ioapic, in);
		break;
	case 3:
		FUZZ_STATE(pit, r->pit, in);
		break;
	case 4:
	case 5: {
		uint8_t line = (uint8_t)take(in, 1);
		irq_line_set(&r->line[line / 2 % LINES], line & 1);
		break;
	}
	case 9: {
		uint8_t line = (uint8_t)take(in, 1);
		ioapic_hold(r->ioapic, line / 2, line & 1);
		pic_hold(r->pic, line / 2, line & 1);
		break;
	}
	case 6:
		ioapic_eoi(r->ioapic, (uint8_t)take(in, 1));
		break;
	case 7:
		MUST(pic_ack(r->pic) <= 255);
		break;
	case 8:
		pic_output(r->pic);
		break;
	default:
		access_chips(r, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig r = { .clock = vclock_create(true), .hub = irq_hub_create() };
	struct irq_router *router = router_create(-1);

	r.pic = pic_create();
	r.ioapic = ioapic_create(take(&in, 1) & 1 ? 24 : 48);
	struct split_sink *sink = split_sink_create(r.pic, r.ioapic);
	MUST(r.clock && r.hub && router && r.pic && r.ioapic && sink);
	ioapic_set_router(r.ioapic, router);
	ioapic_set_msi(r.ioapic, message, NULL);
	split_sink_attach(sink, r.hub);
	MUST((r.pit = pit_create(r.hub, 0, r.clock, NULL)));
	for (uint32_t i = 0; i < LINES; i++)
		irq_line_init(&r.line[i], r.hub, i);
	while (in.left)
		one_step(&r, &in);
	for (uint32_t i = 0; i < LINES; i++)
		irq_line_deinit(&r.line[i]);
	pit_destroy(r.pit);
	split_sink_detach(sink, r.hub);
	split_sink_destroy(sink);
	ioapic_destroy(r.ioapic);
	pic_destroy(r.pic);
	router_destroy(router);
	irq_hub_destroy(r.hub);
	vclock_destroy(r.clock);
	return 0;
}
