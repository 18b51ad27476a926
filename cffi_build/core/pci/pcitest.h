// SPDX-License-Identifier: Apache-2.0
// pci-testdev (1b36:0005): what test kernels write to when they measure port, memory and doorbell
// accesses. Each of its two ranges starts with a header that describes the chosen test.
//
// A test is chosen by its number; it then says where to write what, and counts the writes that
// arrive. Those that become an eventfd's count in KVM (tests 1 and 2) do not.
#ifndef VMM_PCITEST_H
#define VMM_PCITEST_H

#include "dev.h"

enum pcitest_region {
	PCITEST_MEMORY, // 4096 bytes
	PCITEST_PORTS, // 256 ports
};

enum {
	PCITEST_PLAIN, // writes reach the device
	PCITEST_WILDCARD, // a doorbell for any value
	PCITEST_DATAMATCH, // a doorbell for one value
	PCITEST_TESTS,

	PCITEST_MEMORY_SIZE = 4096,
	PCITEST_PORTS_SIZE = 256,
	PCITEST_MATCH = 0xfa, // what is written in the plain and the datamatch test
	PCITEST_NO_MATCH = 0xce, // ... in the wildcard test
	PCITEST_STATE_VERSION = 1,
};

struct pcitest {
	struct dev dev;
	int32_t current; // region * PCITEST_TESTS + test, or -1
	uint32_t count; // writes of the test that arrived
};

struct pcitest_state {
	uint32_t version;
	int32_t current;
	uint32_t count;
};

struct pcitest *pcitest_create(void);
void pcitest_destroy(struct pcitest *t);
void pcitest_reset(struct pcitest *t);
void pcitest_save(struct pcitest *t, struct pcitest_state *ret);
int pcitest_load(struct pcitest *t, const struct pcitest_state *state);
// Where in the region the test's writes go: one byte each.
uint32_t pcitest_offset(uint32_t region, uint32_t test);

#endif
