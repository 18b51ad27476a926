// SPDX-License-Identifier: Apache-2.0
// pc-testdev: what small test kernels use to try out the VMM itself.
//
// A latch that keeps what was written, in two places of which the second sees bytes only; a port
// that asks for a page of guest memory to be unmapped and mapped again; ports that drive GSIs;
// memory-mapped bytes that behave like RAM.
#ifndef VMM_TESTDEV_H
#define VMM_TESTDEV_H

#include "dev.h"
#include "irq.h"

enum testdev_region {
	TESTDEV_LATCH, // 4 bytes at 0xe0
	TESTDEV_BYTES, // 4 bytes at 0xe8: the same latch, or at 0xe9 the debug console
	TESTDEV_REMAP, // 4 bytes at 0xe4
	TESTDEV_GSI, // TESTDEV_GSIS ports: port n drives GSI n
	TESTDEV_MMIO, // TESTDEV_MMIO_BYTES
};

enum {
	TESTDEV_GSIS = 24,
	TESTDEV_MMIO_BYTES = 0x10000,
	TESTDEV_STATE_VERSION = 1,
};

struct testdev {
	struct dev dev;
	struct dev *debugcon; // NULL: none. Its lock is taken under the testdev's
	struct irq_line line[TESTDEV_GSIS];
	uint32_t latch;
	uint8_t mmio[TESTDEV_MMIO_BYTES];
};

struct testdev_state {
	uint32_t version;
	uint32_t latch;
	uint8_t level[TESTDEV_GSIS];
	uint8_t mmio[TESTDEV_MMIO_BYTES];
};

struct testdev *testdev_create(struct irq_hub *hub);
// The debug console has port 0xe9, in the middle of the second latch: byte accesses there are its
// own. It outlives the testdev.
void testdev_set_debugcon(struct testdev *t, struct dev *debugcon);
void testdev_destroy(struct testdev *t);
// Lines low; latch and memory zero.
void testdev_reset(struct testdev *t);
void testdev_save(struct testdev *t, struct testdev_state *ret);
int testdev_load(struct testdev *t, const struct testdev_state *state);

#endif
