/* SPDX-License-Identifier: Apache-2.0 */
/* Bus 0 by the ports at 0xcf8. A function is its slot << 3 | function. */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include "types.h"

#define PCI_NONE 0xffffffffu

#define PCI_COMMAND 0x04
#define PCI_COMMAND_IO 1
#define PCI_COMMAND_MEMORY 2
#define PCI_COMMAND_MASTER 4
#define PCI_BAR0 0x10
#define PCI_CAPABILITIES 0x34
#define PCI_INTERRUPT_LINE 0x3c

#define PCI_CAP_MSI 0x05
#define PCI_CAP_MSIX 0x11

u32 pci_read(u32 devfn, u32 offset); /* the aligned dword that holds it */
u8 pci_read8(u32 devfn, u32 offset);
u16 pci_read16(u32 devfn, u32 offset);
void pci_write(u32 devfn, u32 offset, u32 v);
void pci_write16(u32 devfn, u32 offset, u16 v);
u32 pci_find(u16 vendor, u16 device); /* PCI_NONE if there is none */
u32 pci_capability(u32 devfn, u8 id); /* its offset, 0 if there is none */
u64 pci_bar(u32 devfn, u32 n); /* memory; of the pair if it is a 64-bit one */
#endif
