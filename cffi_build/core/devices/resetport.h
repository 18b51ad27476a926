// SPDX-License-Identifier: Apache-2.0
// The two reset registers of a PC chipset: reset control at 0xcf9, system control port A at 0x92.
//
// 0xcf9 lies inside the PCI address register at 0xcf8, which is four bytes wide but answers to
// 32-bit accesses only: the PCI root owns those ports and hands single bytes there on. Address line
// 20 is never masked, so bit 1 of port 0x92 is only remembered.
#ifndef VMM_RESETPORT_H
#define VMM_RESETPORT_H

#include "dev.h"

enum resetport_region {
	RESETPORT_CF9, // 1 byte: reset control
	RESETPORT_92, // 1 byte: fast reset and A20
};

#define RESETPORT_STATE_VERSION 1

struct resetport {
	struct dev dev;
	uint8_t control; // 0xcf9: SYS_RST, FULL_RST and the last RST_CPU
	uint8_t port92;
};

struct resetport_state {
	uint32_t version;
	uint32_t control, port92;
};

struct resetport *resetport_create(void);
void resetport_destroy(struct resetport *r);
void resetport_reset(struct resetport *r);
void resetport_save(struct resetport *r, struct resetport_state *ret);
int resetport_load(struct resetport *r, const struct resetport_state *state);

#endif
