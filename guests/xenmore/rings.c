// SPDX-License-Identifier: Apache-2.0
// xenstore's and the console's rings, without a driver in between.
#include "../lib/xenstore.h"
#include "more.h"

void store_tells(void)
{
	struct xs_header header = { XS_READ, 9, 0, 6 };

	xs_begin();
	unmask(xs_port);
	came(0, 0);
	check(xs_put(&header, sizeof(header)));
	check(xs_put("domid", 6));
	check(came(1, SLOW_MS) >= 1); /* not looked at: told */
	check(xs_get());
	check_equal(xs_answer.type, XS_READ);
	check_equal(xs_answer.request, 9);
	check_equal(xs_answer.length, 1);
	check_equal(xs_text[0], '1');
	irq_drain();
	came(0, 0);
	mask(xs_port);
}

void store_tree(void)
{
	check(xs_says(XS_GET_DOMAIN_PATH, "1", "/local/domain/1"));
	check(xs_says(XS_MKDIR, "data/a/b", "OK"));
	check(xs_write("data/a/c", "some value", "OK"));
	check(xs_says(XS_READ, "/local/domain/1/data/a/c", "some value"));
	check(xs_request(XS_DIRECTORY, 0, "data/a", 7));
	check_equal(xs_answer.length, 4);
	check(!memcmp(xs_text, "b\0c", 4));
	check(xs_says(XS_GET_PERMS, "data/a/c", "n1"));
	check(xs_request(XS_SET_PERMS, 0, "data/a/c\0n1\0r0", 15));
	check(xs_request(XS_GET_PERMS, 0, "data/a/c", 9));
	check(!memcmp(xs_text, "n1\0r0", 6));
	check(xs_says(XS_RM, "data/a", "OK"));
	check(xs_says(XS_READ, "data/a/c", "ENOENT"));
}

/* Longer than the ring, both ways. */
void store_long(void)
{
	static char value[2049];

	for (u32 i = 0; i < 2048; i++)
		value[i] = (char)('a' + i % 23);
	for (u32 i = 0; i < 5; i++) {
		check(xs_write("data/long", value, "OK"));
		check(xs_says(XS_READ, "data/long", value));
	}
	check(xs_says(XS_RM, "data/long", "OK"));
}

static u32 number(const char *text)
{
	u32 n = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (u32)(*text - '0');
	return n;
}

void store_transaction(void)
{
	u32 id;

	check(xs_write("data/x", "before", "OK"));
	for (u32 commit = 0; commit < 2; commit++) {
		check(xs_request(XS_TRANSACTION_START, 0, "", 1));
		id = number(xs_text);
		check(id);
		check(xs_request(XS_WRITE, id, "data/x\0after", 12));
		check(xs_says(XS_READ, "data/x", "before")); /* outside of it */
		check(xs_request(XS_READ, id, "data/x", 7));
		check(!memcmp(xs_text, "after", 6));
		check(xs_request(XS_TRANSACTION_END, id, commit ? "T" : "F", 2));
		check(xs_says(XS_READ, "data/x", commit ? "after" : "before"));
	}
	check(xs_request(XS_TRANSACTION_START, 0, "", 1));
	id = number(xs_text);
	check(xs_request(XS_READ, id, "data/x", 7));
	check(xs_write("data/x", "another", "OK")); /* which it has looked at */
	check(xs_request(XS_WRITE, id, "data/x\0lost", 11));
	check(xs_request(XS_TRANSACTION_END, id, "T", 2));
	check(!memcmp(xs_text, "EAGAIN", 7));
	check(xs_says(XS_READ, "data/x", "another"));
}

static void event(const char *path, u32 length)
{
	check(xs_get());
	check_equal(xs_answer.type, XS_WATCH_EVENT);
	check_equal(xs_answer.length, length + 6);
	check(!memcmp(xs_text, path, length + 1));
	check(!memcmp(xs_text + length + 1, "mark", 5));
}

void store_watches(void)
{
	struct xs_header header = { XS_WATCH, 5, 0, 10 };

	check(xs_put(&header, sizeof(header)));
	check(xs_put("data\0mark", 10));
	check(xs_get());
	check_equal(xs_answer.type, XS_WATCH);
	event("data", 4); /* at once */
	check(xs_write("data/new", "x", "OK"));
	event("data/new", 8);
	check(xs_write("data/new", "y", "OK"));
	event("data/new", 8);
	check(xs_says(XS_RM, "data/new", "OK"));
	event("data/new", 8);
	check(xs_request(XS_UNWATCH, 0, "data\0mark", 10));
	xs_events = 0;
	check(xs_write("data/new", "z", "OK"));
	check(xs_says(XS_READ, "data/new", "z"));
	check_equal(xs_events, 0);
	check(xs_reconnect());
	check(xs_says(XS_READ, "data/new", "z")); /* the tree stays */
}

struct con_page {
	u8 in[1024], out[2048];
	u32 in_cons, in_prod, out_cons, out_prod;
};

#define BYTES 10000

/* Whoever is at the other end sends back what it gets. */
void console_both_ways(void)
{
	struct con_page *con;
	u64 frame = 0, event = 0, end;
	u32 port, sent = 0, got = 0, wrong = 0;

	check_equal(hvm_param(1, 17, &frame), 0);
	check_equal(hvm_param(1, 18, &event), 0);
	check(event);
	con = PTR(frame * 4096);
	port = (u32)event;
	check(xs_says(XS_READ, "console/type", "xenconsoled"));
	end = deadline_ms(2 * SLOW_MS);
	while (got < BYTES && rdtsc() < end) {
		u32 prod = con->out_prod, cons = con->in_cons;
		while (sent < BYTES && prod - READ_ONCE(con->out_cons) < sizeof(con->out))
			con->out[prod++ % sizeof(con->out)] = (u8)(sent++ * 7 % 251);
		__atomic_store_n(&con->out_prod, prod, __ATOMIC_RELEASE);
		while (cons != __atomic_load_n(&con->in_prod, __ATOMIC_ACQUIRE))
			wrong += con->in[cons++ % sizeof(con->in)] != (u8)(got++ * 7 % 251);
		__atomic_store_n(&con->in_cons, cons, __ATOMIC_RELEASE);
		check_equal(evtchn_op(4, &port), 0);
	}
	check_equal(sent, BYTES);
	check_equal(got, BYTES);
	check_equal(wrong, 0);
}
