// SPDX-License-Identifier: Apache-2.0
// MSI-X, MSI and the interrupt pin of PCI functions.
#include "tests.h"

static struct function storming;
static u32 served, spurious;

struct function function_open(u16 device, u8 capability)
{
	struct function f = { .devfn = pci_find(VENDOR, device) };

	irq_begin();
	check(f.devfn != PCI_NONE);
	if (f.devfn == PCI_NONE)
		return f;
	pci_write16(f.devfn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	f.capability = capability ? pci_capability(f.devfn, capability) : 0;
	f.regs = pci_bar(f.devfn, 0);
	check(!capability || f.capability);
	return f;
}

static void on_storm(struct frame *f)
{
	(void)f;
	if (reg_read(&storming, REG_LEFT)) {
		reg_write(&storming, REG_ACK, 1);
		served++;
	} else {
		spurious++;
	}
	apic_eoi();
}

void storm_begin(const struct function *f, u32 vector)
{
	storming = *f;
	served = spurious = 0;
	trap_set(vector, on_storm);
}

u32 storm_wait(u32 n)
{
	irq_on();
	WAIT_FOR(READ_ONCE(served) >= n, SLOW_MS);
	irq_off();
	irq_drain(); // whatever comes too often
	if (spurious)
		printf("# %u spurious\n", spurious);
	return served;
}

u32 message_address(void)
{
	return 0xfee00000u | apic_id() << 12;
}

const struct test tests[] = {
	{ "msix-arrives", msix_arrives },
	{ "msix-masked-pends", msix_masked_pends },
	{ "msix-function-mask", msix_function_mask },
	{ "msix-message-moves", msix_message_moves },
	{ "msix-disabled", msix_disabled },
	{ "msix-storm", msix_storm },
	{ "msi-messages", msi_messages },
	{ "msi-masked-pends", msi_masked_pends },
	{ "msi-storm", msi_storm },
	{ "intx-line", intx_line },
	{ "intx-masked-pends", intx_masked_pends },
	{ "intx-storm", intx_storm },
	{},
};
