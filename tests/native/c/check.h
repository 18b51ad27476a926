// SPDX-License-Identifier: Apache-2.0
// For the native test programs: a failed check says where and ends the program with status 1.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#endif
