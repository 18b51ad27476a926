// SPDX-License-Identifier: Apache-2.0
// Inside the MSI-X vectors: shared by msix.c, msix_state.c and msix_cap.c. Context of all: the lock
// of m->dev held.
#ifndef VMM_MSIX_IMPL_H
#define VMM_MSIX_IMPL_H

#include "msix.h"

enum {
	WORD_LOW,
	WORD_HIGH,
	WORD_DATA,
	WORD_CONTROL,
	ENTRY_BYTES = 4 * MSIX_ENTRY_WORDS,
};

// Brings what the kernel does with these vectors in line with the table.
void msix_refresh(struct msix *m, uint32_t first, uint32_t count);
// Which of the 8 vectors from `first` on are pending.
uint8_t msix_pending_byte(struct msix *m, uint64_t first);

#endif
