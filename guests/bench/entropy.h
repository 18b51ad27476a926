/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ENTROPY_H
#define BENCH_ENTROPY_H

#include "guest.h"

u64 op_entropy(u64 n); /* ticks for n requests; the first call sets the device up */
#endif
