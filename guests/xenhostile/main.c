// SPDX-License-Identifier: Apache-2.0
// A Xen guest that means harm: whatever it asks for, it gets Xen's error, and goes on.
#include "../lib/xenstore.h"
#include "hostile.h"

static void begin(void)
{
	xen_begin();
	xs_begin();
}

/* Calls are answered, events come. */
void alive(void)
{
	u32 port = bind_ipi(0);

	check_equal(hypercall(XEN_VERSION, 0, 0, 0), 4 << 16 | 17);
	check_equal(evtchn_op(4, &port), 0);
	check(came(1, SLOW_MS) >= 1);
	close_port(port);
}

const struct test tests[] = {
	{ "begin", begin },
	{ "pointers-memory-op", pointers_memory_op },
	{ "pointers-version", pointers_version },
	{ "pointers-event-channel", pointers_event_channel },
	{ "pointers-vcpu-op", pointers_vcpu_op },
	{ "pointers-sched-op", pointers_sched_op },
	{ "pointers-hvm-op", pointers_hvm_op },
	{ "pointers-grant-table", pointers_grant_table },
	{ "pointers-multicall", pointers_multicall },
	{ "pointers-console-io", pointers_console_io },
	{ "pointers-in-structures", pointers_in_structures },
	{ "pointers-of-areas", pointers_of_areas },
	{ "ports-out-of-range", ports_out_of_range },
	{ "ports-closed", ports_closed },
	{ "ports-foreign", ports_foreign },
	{ "ports-all-taken", ports_all_taken },
	{ "virqs-out-of-range", virqs_out_of_range },
	{ "vcpus-out-of-range", vcpus_out_of_range },
	{ "domains-foreign", domains_foreign },
	{ "vectors-below-16", vectors_below_16 },
	{ "params-wild", params_wild },
	{ "multicall-huge", multicall_huge },
	{ "multicall-in-itself", multicall_in_itself },
	{ "multicall-overwritten", multicall_overwritten },
	{ "poll-huge", poll_huge },
	{ "memory-huge", memory_huge },
	{ "memory-continued", memory_continued },
	{ "batch-huge", batch_huge },
	{ "grants-huge", grants_huge },
	{ "grants-wild", grants_wild },
	{ "calls-unknown", calls_unknown },
	{ "shared-info-wild", shared_info_wild },
	{ "gives-back-what-is-used", gives_back_what_is_used },
	{ "timers-past", timers_past },
	{ "timers-far", timers_far },
	{ "timers-flood", timers_flood },
	{ "timers-of-others", timers_of_others },
	{ "store-truncated", store_truncated },
	{ "store-index-jumps", store_index_jumps },
	{ "store-too-long", store_too_long },
	{ "store-nonsense", store_nonsense },
	{ "store-bad-paths", store_bad_paths },
	{ "store-foreign", store_foreign },
	{ "store-quota-nodes", store_quota_nodes },
	{ "store-quota-watches", store_quota_watches },
	{ "store-quota-transactions", store_quota_transactions },
	{ "store-watch-flood", store_watch_flood },
	{ "store-page-gone", store_page_gone },
	{ "console-index-jumps", console_index_jumps },
	{ "remap-under-fire", remap_under_fire },
	{ "remap-while-polled", remap_while_polled },
	{ "attributes-at-once", attributes_at_once },
	{ "close-under-fire", close_under_fire },
	{ "balloon-under-fire", balloon_under_fire },
	{ "reset-under-fire", reset_under_fire },
	{},
};
