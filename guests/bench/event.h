/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H

#include "guest.h"

u64 op_event(u64 n);
void tell_events(void); /* how long each took so far */
#endif
