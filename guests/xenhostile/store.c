// SPDX-License-Identifier: Apache-2.0
// What a guest can write into the pages that it shares with xenstore and with its console.
#include "../lib/xenstore.h"
#include "hostile.h"

#define WATCHES 128
#define TRANSACTIONS 10

/* The store answers as on the first day. */
static void well(void)
{
	check(xs_says(XS_READ, "domid", "1"));
}

static void anew(void)
{
	check(xs_reconnect());
	well();
}

CASE(store_truncated)
{
	struct xs_header header = { XS_READ, 1, 0, 6 };

	well();
	check(xs_put(&header, 7)); /* half a header, and then nothing */
	delay_us(2000);
	anew();
	check(xs_put(&header, sizeof(header)));
	check(xs_put("dom", 3)); /* half a text */
	delay_us(2000);
	check_equal(xs->rsp_prod, xs->rsp_cons); /* no answer to that */
	check(xs_put("id", 3));
	check(xs_get());
	check_equal(xs_text[0], '1');
	header.length = 0; /* no text at all */
	check(xs_put(&header, sizeof(header)));
	check(xs_get());
	check_equal(xs_answer.type, XS_ERROR);
	well();
}

/* Indices that cannot be: the ring rests, says why, and works after a new beginning. */
CASE(store_index_jumps)
{
	static const u32 jumps[] = { 1025, 4096, 1u << 31, ~0u };

	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		xs->req_prod += jumps[i];
		xs_kick();
		check(WAIT_FOR(READ_ONCE(xs->error), SLOW_MS));
		anew();
		check_equal(xs->error, 0);
		xs->rsp_cons += jumps[i] == ~0u ? 1 : jumps[i]; /* of answers that were none */
		struct xs_header header = { XS_READ, 1, 0, 6 };
		xs_put(&header, sizeof(header));
		xs_put("domid", 6);
		check(WAIT_FOR(READ_ONCE(xs->error), SLOW_MS));
		anew();
	}
	xs->req_cons += 77; /* the store's own indices, which it does not read back */
	xs->rsp_prod -= 99;
	anew();
}

CASE(store_too_long)
{
	static const u32 lengths[] = { XS_PAYLOAD + 1, 1u << 16, 1u << 31, ~0u };

	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct xs_header header = { XS_READ, 1, 0, lengths[i] };
		check(xs_put(&header, sizeof(header)));
		check(WAIT_FOR(READ_ONCE(xs->error), SLOW_MS));
		anew();
	}
}

static void error(u32 type, const void *payload, u32 length, const char *want)
{
	check(xs_request(type, 0, payload, length));
	check_equal(xs_answer.type, XS_ERROR);
	if (strlen(xs_text) != strlen(want) || memcmp(xs_text, want, strlen(want)))
		printf("# type %u: %s instead of %s\n", type, xs_text, want);
	check(!memcmp(xs_text, want, strlen(want) + 1));
}

CASE(store_nonsense)
{
	static const u8 privileged[] = { 0, 8, 9, 17, 18, 19 };
	u32 i;

	for (i = 23; i < 40; i++)
		error(i, "x", 2, "ENOSYS");
	error(~0u, "x", 2, "ENOSYS");
	error(XS_WATCH_EVENT, "x", 2, "ENOSYS");
	error(XS_ERROR, "x", 2, "ENOSYS");
	for (i = 0; i < sizeof(privileged); i++)
		error(privileged[i], "1", 2, "EACCES");
	error(XS_READ, "domid", 5, "EINVAL"); /* no zero byte */
	error(XS_READ, "domid\0domid", 12, "EINVAL");
	error(XS_WRITE, "domid", 5, "EINVAL");
	error(XS_WATCH, "domid", 6, "EINVAL");
	error(XS_SET_PERMS, "data\0x9", 8, "EINVAL");
	error(XS_SET_PERMS, "data\0n99999", 12, "EINVAL");
	error(XS_TRANSACTION_END, "X", 2, "EINVAL");
	error(XS_TRANSACTION_END, "T", 2, "ENOENT");
	error(XS_GET_DOMAIN_PATH, "-1", 3, "EINVAL");
	error(XS_DIRECTORY_PART, "device\0x", 9, "EINVAL");
	error(XS_DIRECTORY_PART, "device\0999999999", 17, "EINVAL");
	check(xs_request(XS_READ, 4711, "domid", 6));
	check(!memcmp(xs_text, "ENOENT", 7)); /* no such transaction */
	well();
}

CASE(store_bad_paths)
{
	static const char *const bad[] = { "",	  "//",	  "a//b", "a/",	  "/a/",
					   "a b", "a\nb", "\x80", "a\"b", "@nobody" };
	static char longest[3200];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		error(XS_READ, bad[i], (u32)strlen(bad[i]) + 1, "EINVAL");
		error(XS_RM, bad[i], (u32)strlen(bad[i]) + 1, "EINVAL");
		error(XS_MKDIR, bad[i], (u32)strlen(bad[i]) + 1, "EINVAL");
	}
	memset(longest, 'a', sizeof(longest) - 1);
	error(XS_MKDIR, longest, sizeof(longest), "EINVAL");
	longest[0] = '/';
	error(XS_MKDIR, longest, sizeof(longest), "EINVAL");
	error(XS_RM, "/", 2, "EINVAL");
	error(XS_READ, "data/..", 8, "EINVAL");
	well();
}

CASE(store_foreign)
{
	static const char *const others[] = { "/local/domain/0", "/local/domain/2/data", "/tool",
					      "/vm/1/name",	 "/local/domain/1/name", "name" };

	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		error(XS_RM, others[i], (u32)strlen(others[i]) + 1, "EACCES");
		error(XS_WRITE, others[i], (u32)strlen(others[i]) + 1, "EACCES");
		check(xs_request(XS_SET_PERMS, 0, "name\0n1", 8));
		check(!memcmp(xs_text, "EACCES", 7));
	}
	error(XS_READ, "/local/domain/0/x", 18, "EACCES");
	well();
}

static char *decimal(char *to, u32 number)
{
	for (u32 unit = 1000; unit; unit /= 10)
		*to++ = (char)('0' + number / unit % 10);
	*to = 0;
	return to;
}

CASE(store_quota_nodes)
{
	static char path[16] = "data/", value[2100];
	u32 n;

	for (n = 0; n < 1100; n++) {
		decimal(path + 5, n);
		if (!xs_write(path, "x", "OK"))
			break;
	}
	check(n > 900 && n < 1100);
	check(!memcmp(xs_text, "ENOSPC", 7));
	check(xs_write("data/0000", "y", "OK")); /* what is there can be changed */
	memset(value, 'v', sizeof(value) - 1);
	check(xs_write("data/0000", value, "ENOSPC"));
	check(xs_says(XS_READ, "data/0000", "y"));
	check(xs_says(XS_RM, "data", "OK"));
	check(xs_says(XS_MKDIR, "data/0000", "EACCES")); /* it was ours, and what is above is not */
	well();
}

CASE(store_quota_watches)
{
	static char payload[] = "device\0token0000";
	u32 n;

	for (n = 0; n < 200; n++) {
		decimal(payload + 12, n);
		check(xs_request(XS_WATCH, 0, payload, sizeof(payload)));
		if (xs_answer.type == XS_ERROR)
			break;
	}
	check_equal(n, WATCHES);
	check(!memcmp(xs_text, "E2BIG", 6));
	decimal(payload + 12, 0);
	error(XS_WATCH, payload, sizeof(payload), "EEXIST");
	check(xs_request(XS_RESET_WATCHES, 0, "", 1));
	error(XS_UNWATCH, payload, sizeof(payload), "ENOENT");
	well();
}

CASE(store_quota_transactions)
{
	u32 n;

	for (n = 0; n < 20; n++) {
		check(xs_request(XS_TRANSACTION_START, 0, "", 1));
		if (xs_answer.type == XS_ERROR)
			break;
	}
	check_equal(n, TRANSACTIONS);
	check(!memcmp(xs_text, "ENOSPC", 7));
	anew(); /* which ends them all */
	check(xs_request(XS_TRANSACTION_START, 0, "", 1));
	check_equal(xs_answer.type, XS_TRANSACTION_START);
	check(xs_request(XS_RESET_WATCHES, 0, "", 1));
}

/* Everything is watched many times, and changes, and nobody reads of it. */
CASE(store_watch_flood)
{
	static char payload[] = "error\0token0000";
	struct xs_header header = { XS_WRITE, 1, 0, 7 };
	u32 i, before;

	for (i = 0; i < 100; i++) {
		decimal(payload + 11, i);
		check(xs_request(XS_WATCH, 0, payload, sizeof(payload)));
	}
	for (i = 0; i < 40;
	     i++) { /* answers stay where they are: first one ring fills, then both */
		if (xs->req_prod - READ_ONCE(xs->req_cons) > XS_RING - 32)
			break;
		xs_put(&header, sizeof(header));
		xs_put("error\0x", 7);
		delay_us(200);
	}
	check(WAIT_FOR(xs->rsp_prod - xs->rsp_cons == XS_RING, SLOW_MS));
	do {
		before = READ_ONCE(xs->rsp_prod);
		__atomic_store_n(&xs->rsp_cons, before, __ATOMIC_RELEASE); /* unread */
		xs_kick();
	} while (WAIT_FOR(READ_ONCE(xs->rsp_prod) != before, 50));
	anew();
}

/* The page is overwritten, and given back to the host. */
CASE(store_page_gone)
{
	static u64 frame;
	struct {
		u64 *list;
		u64 count;
		u32 order, flags;
		u16 domid, pad[3];
	} r = { &frame, 1, 0, 0, DOMID_SELF, {} };

	memset(xs, 0xff, 4096);
	xs_kick();
	delay_us(2000);
	anew();
	frame = (u64)xs / 4096;
	long given = hypercall(MEMORY_OP, 1, (u64)&r, 0);
	check(given == 0 || given == 1);
	memset(xs, 0, 4096);
	anew();
}

struct con_page {
	u8 in[1024], out[2048];
	u32 in_cons, in_prod, out_cons, out_prod;
};

CASE(console_index_jumps)
{
	static const u32 jumps[] = { 2049, 65536, 1u << 31, ~0u };
	u64 frame = 0, number = 0;
	struct con_page *con;
	u32 port;

	check_equal(hvm_param(1, 17, &frame), 0);
	check_equal(hvm_param(1, 18, &number), 0);
	con = PTR(frame * 4096);
	port = (u32)number;
	check(port);
	for (u32 i = 0; i < 16; i++)
		con->out[i] = (u8)('a' + i);
	con->out_prod = 16;
	check_equal(evtchn_op(4, &port), 0);
	check(WAIT_FOR(READ_ONCE(con->out_cons) == 16, SLOW_MS));
	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		con->out_prod = 16 + jumps[i];
		con->in_cons = jumps[i];
		check_equal(evtchn_op(4, &port), 0);
	}
	memset(con, 0xff, 4096);
	check_equal(evtchn_op(4, &port), 0);
	delay_us(2000);
	well();
}
