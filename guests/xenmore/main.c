// SPDX-License-Identifier: Apache-2.0
// A Xen domain in what guest "xen" leaves open: order and masks of events, polls of another CPU,
// clocks while they are written, run states that grow, rings without drivers.
#include "more.h"

const struct test tests[] = {
	{ "begin", xen_begin },
	{ "order", order },
	{ "half-masked", half_masked },
	{ "moved-to-other", moved_to_other },
	{ "vector-changes", vector_changes },
	{ "slots-change", slots_change },
	{ "poll-ends", poll_ends },
	{ "poll-woken-masked", poll_woken_masked },
	{ "poll-woken-unmasked", poll_woken_unmasked },
	{ "poll-several", poll_several },
	{ "wallclock", wallclock },
	{ "versions-even", versions_even },
	{ "clocks-agree", clocks_agree },
	{ "stood-still", stood_still },
	{ "waited", waited },
	{ "runstate-flag", runstate_flag },
	{ "store-tells", store_tells },
	{ "store-tree", store_tree },
	{ "store-long", store_long },
	{ "store-transaction", store_transaction },
	{ "store-watches", store_watches },
	{ "console-both-ways", console_both_ways },
	{},
};
