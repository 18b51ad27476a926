/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's `edu` device, handed through from the host. */
#ifndef VFIO_EDU_H
#define VFIO_EDU_H

#include "guest.h"
#include "pci.h"

#define VENDOR 0x1234
#define DEVICE 0x11e8
#define SIZE 0x100000

#define ID 0x00 /* 0x010000ed */
#define LIVENESS 0x04 /* reads as the complement of what was written */
#define FACTORIAL 0x08
#define STATUS 0x20
#define COMPUTING 1
#define PENDING 0x24
#define RAISE 0x60
#define ACKNOWLEDGE 0x64
#define DMA_SOURCE 0x80
#define DMA_TARGET 0x88
#define DMA_COUNT 0x90
#define DMA_COMMAND 0x98
#define START 1
#define FROM_DEVICE 2
#define TELL 4
#define DMA_DONE 0x100
#define BUFFER 0x40000 /* where its 4 KiB are, to its own DMA */
#define BUFFER_SIZE 4096

#define SLOW_MS 30000
#define VEC 0x51

extern u32 devfn;
extern u64 regs;

static inline u32 edu_read(u32 reg)
{
	return read32(regs + reg);
}
static inline void edu_write(u32 reg, u32 v)
{
	write32(regs + reg, v);
}
/* Decoding and DMA on, no interrupts; false after a failed check if there is no such device. */
bool edu_open(void);
bool edu_answers(u64 at);
/* Whether RAM where `at` is keeps what is written there. */
static inline bool keeps(u64 at)
{
	write32(at, 0x5a5a1234);
	return read32(at) == 0x5a5a1234;
}

void registers(void);
void dma_both_ways(void);
void dma_without_bus_master(void);
void moves(void);
void over_ram(void);
void decoding_off(void);
void msi_arrives(void);
void msi_storm(void);
void msi_masked(void);
void intx_line(void);
void intx_until_served(void);
void intx_disabled(void);
void intx_storm(void);
void over_another(void);
void beyond_the_table(void);
void random_config(void);
void forever(void);
#endif
