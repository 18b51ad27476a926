/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_XEN_H
#define GUEST_XEN_H

#include "../lib/xen.h"

/* events.c */
void ports(void);
void all_ports(void);
void ipi_self(void);
void masked(void);
void vcpu_vector(void);
void interdomain(void);
void timer(void);
void poll(void);
void remap(void);
/* second.c */
void ipi_other(void);
void at_once(void);
void moves_while_polled(void);
void up_and_down(void);
void soft_reset(void);
/* calls.c */
void multicall(void);
void switches(void);
void denied(void);
void timers(void);
void blocked(void);
void watchdog(void);
/* memory.c */
void balloon(void);
void balloon_far(void);
void memory_misc(void);
/* traps.c */
void two_pages(void);
void wire(void);
void apic_off(void);
void second_clock(void);
void own_debug(void);
void watched_msrs(void);
/* refused.c */
void refused(void);
void params(void);
#endif
