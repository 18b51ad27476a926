/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_XENMORE_H
#define GUEST_XENMORE_H

#include "../lib/xen.h"

void unmask(u32 port);

/* events.c */
void order(void);
void half_masked(void);
void moved_to_other(void);
void vector_changes(void);
void slots_change(void);
void poll_ends(void);
void poll_woken_masked(void);
void poll_woken_unmasked(void);
void poll_several(void);
/* clocks.c */
void wallclock(void);
void versions_even(void);
void clocks_agree(void);
void stood_still(void);
void waited(void);
void runstate_flag(void);
/* rings.c */
void store_tells(void);
void store_tree(void);
void store_long(void);
void store_transaction(void);
void store_watches(void);
void console_both_ways(void);
#endif
