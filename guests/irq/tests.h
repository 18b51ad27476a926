/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IRQ_TESTS_H
#define IRQ_TESTS_H

#include "guest.h"

#define SLOW_MS 5000
#define STUCK 5 /* calls after which a level handler quiets its source */
#define VEC_PIC 0x60

void line_set(u32 gsi, u8 level); /* drives a GSI through pc-testdev */
void lines_quiet(void); /* all masked and low, nothing counted */

void ioapic_pins_hold(void);
void ioapic_edge(void);
void ioapic_edge_masked_is_lost(void);
void ioapic_level(void);
void ioapic_level_masked_stays_pending(void);
void ioapic_remote_irr(void);
void ioapic_two_pins(void);
void ioapic_interrupt_window(void);
void pic_edge(void);
void pic_masked_stays_pending(void);
void pic_cascade(void);
void pic_priority(void);
void pic_elcr_level(void);
void pic_interrupt_window(void);
#endif
