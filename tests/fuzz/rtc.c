// SPDX-License-Identifier: Apache-2.0
// The real-time clock: any registers, any calendar, far moments.
#include "fuzz.h"
#include "rtc.h"

static void one_step(struct rtc *r, struct vclock *clock, struct input *in)
{
	const struct registers registers = { &r->dev, 1, 2, 1 };

	switch (take(in, 1) % 8) {
	case 0:
		step_clock(in, clock);
		break;
	case 1:
		FUZZ_STATE(rtc, r, in);
		break;
	case 2: {
		int err = rtc_set_time(r, (int64_t)take(in, 8), (uint32_t)take(in, 4));
		MUST(!err || err == -EINVAL);
		break;
	}
	case 3: {
		uint32_t index = (uint32_t)take(in, 2);
		int err = rtc_poke(r, index, (uint8_t)take(in, 1));
		MUST(!err || err == -EINVAL);
		rtc_peek(r, index);
		break;
	}
	case 4:
		if (take(in, 1) == 0)
			rtc_reset(r);
		else
			rtc_set_irq_off(r, take(in, 1) & 1);
		break;
	default:
		access_registers(in, &registers);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct irq_hub *hub = irq_hub_create();
	struct vclock *clock = vclock_create(true);
	struct rtc *r = rtc_create(hub, 8, clock, NULL, 1700000000, 0);

	MUST(hub && clock && r);
	while (in.left)
		one_step(r, clock, &in);
	rtc_destroy(r);
	MUST(!hub->high[8]);
	vclock_destroy(clock);
	irq_hub_destroy(hub);
	return 0;
}
