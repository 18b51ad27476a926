// SPDX-License-Identifier: Apache-2.0
#include "xenstore.h"

#define STORE_PFN 1
#define STORE_EVTCHN 2
#define RECONNECT 1

struct xs_page *xs;
u32 xs_port, xs_events;
struct xs_header xs_answer;
char xs_text[XS_PAYLOAD + 1];

void xs_begin(void)
{
	u64 frame = 0, port = 0;

	check_equal(hvm_param(1, STORE_PFN, &frame), 0);
	check_equal(hvm_param(1, STORE_EVTCHN, &port), 0);
	xs = PTR(frame * 4096);
	xs_port = (u32)port;
}

void xs_kick(void)
{
	check_equal(evtchn_op(4, &xs_port), 0);
}

bool xs_put(const void *bytes, u32 length)
{
	const u8 *from = bytes;

	while (length--) {
		u32 prod = xs->req_prod;
		if (prod - READ_ONCE(xs->req_cons) >= XS_RING) {
			xs_kick();
			if (!WAIT_FOR(prod - READ_ONCE(xs->req_cons) < XS_RING, SLOW_MS))
				return false;
		}
		xs->req[prod % XS_RING] = *from++;
		__atomic_store_n(&xs->req_prod, prod + 1, __ATOMIC_RELEASE);
	}
	xs_kick();
	return true;
}

static bool take_bytes(void *to, u32 length)
{
	u8 *at = to;

	while (length--) {
		u32 cons = xs->rsp_cons;
		if (cons == __atomic_load_n(&xs->rsp_prod, __ATOMIC_ACQUIRE)) {
			xs_kick();
			if (!WAIT_FOR(cons != READ_ONCE(xs->rsp_prod), SLOW_MS))
				return false;
		}
		*at++ = xs->rsp[cons % XS_RING];
		__atomic_store_n(&xs->rsp_cons, cons + 1, __ATOMIC_RELEASE);
	}
	return true;
}

bool xs_get(void)
{
	bool got = take_bytes(&xs_answer, sizeof(xs_answer)) && xs_answer.length <= XS_PAYLOAD &&
		   take_bytes(xs_text, xs_answer.length);

	xs_text[got ? xs_answer.length : 0] = 0;
	xs_kick();
	return got;
}

bool xs_request(u32 type, u32 transaction, const void *payload, u32 length)
{
	static u32 last;
	struct xs_header header = { type, ++last, transaction, length };

	if (!xs_put(&header, sizeof(header)) || !xs_put(payload, length))
		return false;
	while (xs_get()) {
		if (xs_answer.type != XS_WATCH_EVENT)
			return xs_answer.request == last;
		xs_events++;
	}
	return false;
}

static bool equal(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && !memcmp(a, b, strlen(a));
}

bool xs_says(u32 type, const char *text, const char *want)
{
	if (!xs_request(type, 0, text, (u32)strlen(text) + 1))
		return false;
	return equal(xs_text, want);
}

bool xs_write(const char *path, const char *value, const char *want)
{
	static char payload[XS_PAYLOAD];
	u32 first = (u32)strlen(path) + 1, second = (u32)strlen(value);

	memcpy(payload, path, first);
	memcpy(payload + first, value, second);
	return xs_request(XS_WRITE, 0, payload, first + second) && equal(xs_text, want);
}

bool xs_reconnect(void)
{
	__atomic_store_n(&xs->connection, RECONNECT, __ATOMIC_RELEASE);
	xs_kick();
	return WAIT_FOR(!READ_ONCE(xs->connection), SLOW_MS);
}
