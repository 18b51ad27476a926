// SPDX-License-Identifier: Apache-2.0
// fw_cfg: items of any size and name, any selection, any state.
#include "fuzz.h"
#include "fwcfg.h"

static void add(struct fwcfg *f, struct input *in)
{
	uint8_t blob[256];
	char name[FWCFG_NAME + 8];
	uint32_t size = (uint32_t)take(in, 1);

	take_into(in, blob, size);
	if (take(in, 1) & 1) {
		int err = fwcfg_add(f, (uint16_t)take(in, 1), blob, size);
		MUST(!err || err == -EINVAL || err == -ENOSPC);
	} else {
		take_into(in, name, sizeof(name) - 1);
		name[sizeof(name) - 1] = 0;
		MUST(fwcfg_add_file(f, name, blob, size) != -ENOMEM);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fwcfg *f = fwcfg_create();

	MUST(f);
	const struct registers registers = { &f->dev, 1, 2, 2 };
	while (in.left) {
		uint8_t op = (uint8_t)take(&in, 1);
		if (op % 8 == 0)
			add(f, &in);
		else if (op % 8 == 1)
			FUZZ_STATE(fwcfg, f, &in);
		else if (op == 2)
			fwcfg_reset(f);
		else
			access_registers(&in, &registers);
	}
	fwcfg_destroy(f);
	return 0;
}
