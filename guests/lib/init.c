// SPDX-License-Identifier: Apache-2.0
// The common way in: a guest that defines its own guest_entry() gets nothing of this.
#include "boot.h"
#include "exit.h"
#include "guest.h"

void guest_entry(void);
void guest_entry(void)
{
	smp_init_bsp();
	trap_init();
	boot_parse();
	print_init();
	guest_exit((u8)guest_main());
}
