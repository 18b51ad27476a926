// SPDX-License-Identifier: Apache-2.0
// Where a kernel makes its hypercalls: two functions of one instruction each, one for each vendor.
#include "xenus.h"

enum { CALL = 3, NEAR = 16, FAR = 32 };

static bool ends(const uint8_t *at)
{
	uint8_t next = at[CALL];

	return next == 0xc3 || next == 0xe9 || next == 0xeb; // RET, JMP
}

int64_t xenus_find_site(const void *image, uint64_t length, uint32_t *ret)
{
	static const uint8_t vmmcall[CALL] = { 0x0f, 0x01, 0xd9 };
	static const uint8_t vmcall[CALL] = { 0x0f, 0x01, 0xc1 };
	const uint8_t *start = image, *third = start + CALL - 1, *end;

	if (length < FAR + CALL + 1)
		return -ENOENT;
	end = start + length - FAR -
	      1; // the third byte of the last one with room for its pair, + 1
	// GUEST: all of the image. The third byte is the rarest, and a single one is found fastest.
	for (; (third = memchr(third, vmmcall[CALL - 1], (size_t)(end - third))); third++) {
		const uint8_t *at = third - (CALL - 1);
		if (memcmp(at, vmmcall, CALL) != 0 || !ends(at))
			continue;
		for (uint32_t by = NEAR; by <= FAR; by += FAR - NEAR) {
			if (!memcmp(at + by, vmcall, CALL) && ends(at + by)) {
				*ret = by;
				return at - start;
			}
		}
	}
	return -ENOENT;
}
