/* SPDX-License-Identifier: Apache-2.0 */
/* A visit to ring 3 and back. */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "types.h"

/* How ring 3 code ends: an invalid opcode, since not every KVM lets ring 3 call a gate by INT. */
#define USER_EXIT "ud2"

void user_init(void); /* TSS, user access to the first 4 MiB */
/* Runs `entry` in ring 3 on a stack of its own until it executes USER_EXIT; RAX as it was then. */
u64 user_run(void (*entry)(void));
#endif
