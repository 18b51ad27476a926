/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device, its one queue, and steps that all tests of it take. */
#ifndef GUEST_RNG_H
#define GUEST_RNG_H

#include "guest.h"
#include "virtio.h"

#define RNG 4
#define SLOW_MS 30000
#define BYTES 64
#define ALL (~0ull)

extern struct virtio v;
extern struct vring ring;
extern u8 buffer[8][BYTES];

/* A well-behaved driver, up to DRIVER_OK. */
void probe(u64 features, u16 vector);
/* Asks for bytes and gets them. */
void one_request(void);
/* The test in hammer.c. */
void four_at_once(void);
#endif
