/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a guest may want. */
#ifndef GUEST_H
#define GUEST_H

#include "acpi.h"
#include "apic.h"
#include "boot.h"
#include "cpu.h"
#include "exit.h"
#include "irq.h"
#include "ktap.h"
#include "print.h"
#include "smp.h"
#include "time.h"
#include "trap.h"
#include "types.h"
#include "user.h"

/* Runs on the BSP with interrupts off; its value goes to isa-debug-exit. Default: ktap_run(). */
int guest_main(void);
#endif
