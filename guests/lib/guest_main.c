// SPDX-License-Identifier: Apache-2.0
// The usual guest_main(): run the subtests.
#include "guest.h"

int guest_main(void)
{
	return ktap_run();
}
