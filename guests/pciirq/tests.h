/* SPDX-License-Identifier: Apache-2.0 */
/* Three functions that interrupt when they are asked to; see tests/kvm/interruptdev.py. */
#ifndef PCIIRQ_TESTS_H
#define PCIIRQ_TESTS_H

#include "guest.h"
#include "pci.h"

#define VENDOR 0x1234
#define DEVICE_MSIX 1
#define DEVICE_MSI 2
#define DEVICE_INTX 3

/* Registers in BAR 0, 4 bytes each */
#define REG_FIRE 0x00 /* this vector, once; for INTx one request */
#define REG_STORM 0x04 /* vector 0, so often, the next one after the last was acknowledged */
#define REG_ACK 0x08
#define REG_LEFT 0x0c /* requests that wait for service */
#define TABLE 0x1000
#define PBA 0x2000

#define SLOW_MS 30000
#define STORM 200
#define VEC 0x51
#define VECTORS 4

struct function {
	u32 devfn, capability;
	u64 regs;
};

/* Finds it and lets it decode; a check fails if it is not there. */
struct function function_open(u16 device, u8 capability);
static inline void reg_write(const struct function *f, u32 reg, u32 v)
{
	write32(f->regs + reg, v);
}
static inline u32 reg_read(const struct function *f, u32 reg)
{
	return read32(f->regs + reg);
}
/* A handler that serves one request if there is one, as drivers of shared lines do. */
void storm_begin(const struct function *f, u32 vector);
u32 storm_wait(u32 n); /* until so many are served */
u32 message_address(void);

void msix_arrives(void);
void msix_masked_pends(void);
void msix_function_mask(void);
void msix_message_moves(void);
void msix_disabled(void);
void msix_storm(void);
void msi_messages(void);
void msi_masked_pends(void);
void msi_storm(void);
void intx_line(void);
void intx_masked_pends(void);
void intx_storm(void);
#endif
