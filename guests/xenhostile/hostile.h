/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_XENHOSTILE_H
#define GUEST_XENHOSTILE_H

#include "../lib/xen.h"

#define GRANT_TABLE_OP 20
#define MULTICALL 13
#define CONSOLE_IO 18
#define RAM_END (64ull << 20)

/* Places that no structure fits into: nothing mapped, the address space's end, no RAM, RAM's end.
 */
extern const u64 wild[6];
#define EVERY_WILD(at, call) \
	for (u32 i_ = 0; i_ < ARRAY_SIZE(wild); i_++) { \
		u64 at = wild[i_]; \
		CHECK_ERROR(call, EFAULT); \
	}
/* A call whose result does not matter, if only it is one that Xen has. */
void bear(u64 number, u64 a, u64 b, u64 c);

/* What comes after it finds calls answered and events delivered. */
void alive(void);
#define CASE(name) \
	static void name##_case(void); \
	void name(void) \
	{ \
		name##_case(); \
		alive(); \
	} \
	static void name##_case(void)

/* pointers.c */
void pointers_memory_op(void);
void pointers_version(void);
void pointers_event_channel(void);
void pointers_vcpu_op(void);
void pointers_sched_op(void);
void pointers_hvm_op(void);
void pointers_grant_table(void);
void pointers_multicall(void);
void pointers_console_io(void);
void pointers_in_structures(void);
void pointers_of_areas(void);
/* ports.c */
void ports_out_of_range(void);
void ports_closed(void);
void ports_foreign(void);
void ports_all_taken(void);
void virqs_out_of_range(void);
void vcpus_out_of_range(void);
void domains_foreign(void);
void vectors_below_16(void);
void params_wild(void);
/* counts.c */
void multicall_huge(void);
void multicall_in_itself(void);
void multicall_overwritten(void);
void poll_huge(void);
void memory_huge(void);
void memory_continued(void);
void batch_huge(void);
void grants_huge(void);
void grants_wild(void);
void calls_unknown(void);
/* memory.c */
void shared_info_wild(void);
void gives_back_what_is_used(void);
void timers_past(void);
void timers_far(void);
void timers_flood(void);
void timers_of_others(void);
/* store.c */
void store_truncated(void);
void store_index_jumps(void);
void store_too_long(void);
void store_nonsense(void);
void store_bad_paths(void);
void store_foreign(void);
void store_quota_nodes(void);
void store_quota_watches(void);
void store_quota_transactions(void);
void store_watch_flood(void);
void store_page_gone(void);
void console_index_jumps(void);
/* races.c */
void remap_under_fire(void);
void remap_while_polled(void);
void attributes_at_once(void);
void close_under_fire(void);
void balloon_under_fire(void);
void reset_under_fire(void);
#endif
