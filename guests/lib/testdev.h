/* SPDX-License-Identifier: Apache-2.0 */
/* pc-testdev: what a guest needs to prove that the host's dispatch is right. */
#ifndef GUEST_TESTDEV_H
#define GUEST_TESTDEV_H

#define TESTDEV_LATCH 0xe0 /* 4 bytes that keep what is written, any width */
#define TESTDEV_REMAP 0xe4 /* out32: the host takes this page of RAM away and gives it back */
#define TESTDEV_BYTES 0xe8 /* the latch again, served byte by byte */
#define TESTDEV_GSI 0x2000 /* + n: write 0 or 1 to drive GSI n */
#define TESTDEV_MMIO 0xff000000 /* 64 KiB of device that behaves like RAM */
#endif
