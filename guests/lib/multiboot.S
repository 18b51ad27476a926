/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1 header, linked only into the .mb images: loaders that know both protocols would
 * prefer it to the PVH note.
 */
#include "boot.h"

#ifdef ADDRESS_FIELDS
#define FLAGS (1 << 16 | 1 << 1)	/* addresses below count; memory sizes wanted */
#else
#define FLAGS (1 << 1)
#endif
	.section .multiboot, "a"
	.align 4
header:
	.long MULTIBOOT_MAGIC, FLAGS, -(MULTIBOOT_MAGIC + FLAGS)
#ifdef ADDRESS_FIELDS
	.long header, image_start, image_data_end, image_end, start_multiboot
#endif

	.section .note.GNU-stack, "", @progbits
