// SPDX-License-Identifier: Apache-2.0
// Memory read after it was freed: what the address sanitizer must report.
#include "check.h"

int main(void)
{
	int *number = malloc(sizeof(*number));
	int *volatile stale = number; // hides the mistake from the compiler

	CHECK(number);
	*number = 1;
	free(number);
	printf("%d\n", *stale);
	return 0;
}
