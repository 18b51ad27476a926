// SPDX-License-Identifier: Apache-2.0
// Between the files that implement pci.h.
#ifndef VMM_PCI_IMPL_H
#define VMM_PCI_IMPL_H

#include "pci.h"

// Offset of base address register n, or of the ROM's.
uint32_t pci_bar_register(uint32_t n);
// Makes what others see of the command register follow it. Context: root's lock, if plugged.
void pci_command_written(struct pci_func *f);

#endif
