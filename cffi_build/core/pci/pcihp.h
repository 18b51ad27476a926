// SPDX-License-Identifier: Apache-2.0
// PCI hot-plug registers, spoken to by the DSDT's methods (vmm/boot/pci.py).
//
// Three words of one bit a slot, 32-bit accesses only: slots whose device came and slots whose
// device shall go, each cleared by reading it, and the slots that the guest ejects. That there is
// something to read is told by the generic event device or a general-purpose event.
#ifndef VMM_PCIHP_H
#define VMM_PCIHP_H

#include "dev.h"

enum {
	PCIHP_UP = 0, // offsets
	PCIHP_DOWN = 4,
	PCIHP_EJECT = 8, // a write asks with DEV_EVENT_EJECT; reads as 0
	PCIHP_SIZE = 12,
	PCIHP_STATE_VERSION = 1,
};

struct pcihp {
	struct dev dev;
	uint32_t up, down;
};

struct pcihp_state {
	uint32_t version;
	uint32_t up, down;
};

struct pcihp *pcihp_create(void);
void pcihp_destroy(struct pcihp *h);
void pcihp_reset(struct pcihp *h);
void pcihp_save(struct pcihp *h, struct pcihp_state *ret);
int pcihp_load(struct pcihp *h, const struct pcihp_state *state);
// What the guest finds next. Any thread. slot: 0 to 31.
void pcihp_came(struct pcihp *h, uint32_t slot);
void pcihp_shall_go(struct pcihp *h, uint32_t slot);
// The device left: nobody need ask for it any more.
void pcihp_left(struct pcihp *h, uint32_t slot);

#endif
