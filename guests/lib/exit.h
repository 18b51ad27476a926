/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to end the machine. isa-debug-exit turns value v into process exit code (v << 1) | 1. */
#ifndef GUEST_EXIT_H
#define GUEST_EXIT_H

#include "types.h"

#define PORT_DEBUG_EXIT 0xf4
#define PORT_RESET 0xcf9

#define EXIT_PASS 0 /* process exit code 1 */
#define EXIT_FAIL 1 /* 3 */
#define EXIT_PANIC 2 /* 5 */

void guest_exit(u8 value) __attribute__((noreturn));
void hang(void) __attribute__((noreturn));
#endif
