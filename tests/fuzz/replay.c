// SPDX-License-Identifier: Apache-2.0
// A fuzz target without libFuzzer: random inputs from a fixed seed, always the same ones.
#include "fuzz.h"

#define INPUTS 1000
#define MAX_BYTES 1024

int main(void)
{
	uint8_t data[MAX_BYTES];
	unsigned int seed = 1;
	size_t total = 0;

	for (int i = 0; i < INPUTS; i++) {
		size_t size = (size_t)rand_r(&seed) % MAX_BYTES;
		for (size_t n = 0; n < size; n++)
			data[n] = (uint8_t)(rand_r(&seed) >> 4);
		MUST(!LLVMFuzzerTestOneInput(data, size));
		total += size;
	}
	printf("%zu bytes\n", total);
	return 0;
}
