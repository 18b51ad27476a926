// SPDX-License-Identifier: Apache-2.0
// HPET, i8042, ACPI registers and pc-testdev on one hub.
#include "acpiregs.h"
#include "fuzz.h"
#include "hpet.h"
#include "i8042.h"
#include "testdev.h"

struct rig {
	struct vclock *clock;
	struct hpet *hpet;
	struct i8042 *kbc;
	struct acpiregs *acpi;
	struct testdev *testdev;
};

static void states(struct rig *r, struct input *in)
{
	switch (take(in, 1) % 4) {
	case 0:
		FUZZ_STATE(hpet, r->hpet, in);
		break;
	case 1:
		FUZZ_STATE(i8042, r->kbc, in);
		break;
	case 2:
		FUZZ_STATE(acpiregs, r->acpi, in);
		break;
	default:
		FUZZ_STATE(testdev, r->testdev, in);
	}
}

static void one_step(struct rig *r, struct input *in)
{
	const struct registers registers[] = {
		{ &r->hpet->dev, 1, HPET_BYTES, 8 },
		{ &r->kbc->dev, 2, 1, 1 },
		{ &r->acpi->dev, 5, 2, 1 },
		{ &r->testdev->dev, 5, 4, 4 },
	};
	uint8_t op = (uint8_t)take(in, 1);

	if (op % 16 == 0)
		step_clock(in, r->clock);
	else if (op % 16 == 1)
		states(r, in);
	else if (op % 16 == 2)
		acpiregs_ged_raise(r->acpi, (uint32_t)take(in, 1));
	else if (op % 16 == 3)
		acpiregs_pm1_raise(r->acpi, (uint32_t)take(in, 2));
	else
		access_registers(in, &registers[op / 16 % ARRAY_LEN(registers)]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct irq_hub *hub = irq_hub_create();
	struct rig r = { .clock = vclock_create(true) };

	MUST(hub && r.clock);
	r.hpet = hpet_create(hub, r.clock, NULL);
	r.kbc = i8042_create(hub, 1, 12);
	r.acpi = acpiregs_create(hub, 9, r.clock, NULL, take(&in, 1) & 1 ? 24 : 32);
	r.testdev = testdev_create(hub);
	MUST(r.hpet && r.kbc && r.acpi && r.testdev);
	while (in.left)
		one_step(&r, &in);
	testdev_destroy(r.testdev);
	acpiregs_destroy(r.acpi);
	i8042_destroy(r.kbc);
	hpet_destroy(r.hpet);
	vclock_destroy(r.clock);
	irq_hub_destroy(hub);
	return 0;
}
