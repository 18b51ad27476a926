// SPDX-License-Identifier: Apache-2.0
#include "disk.h"

#define FRONT "device/vbd/51712/"
#define BACK "/local/domain/0/backend/vbd/1/51712/state"

struct ring ring __attribute__((aligned(4096)));
u8 buffer[16][4096] __attribute__((aligned(4096)));
struct grant grants[512] __attribute__((aligned(4096)));
u32 disk_port;
static u32 seen; /* answers */

_Static_assert(sizeof(struct request) == 112 && sizeof(struct answer) == 16, "blkif");
_Static_assert(sizeof(struct ring) <= 4096, "ring");

static void grant(u32 ref, const void *page)
{
	grants[ref] = (struct grant){ PERMIT, 0, (u32)((u64)page / 4096) };
}

void disk_begin(void)
{
	struct {
		u16 domid, size;
		u32 space;
		u64 index, frame;
	} where = { DOMID_SELF, 0, 1, 0, (u64)grants / 4096 };

	check_equal(hypercall(MEMORY_OP, 7, (u64)&where, 0), 0);
	check_equal(grants[1].flags, PERMIT); /* xenstore's */
	for (u32 i = 0; i < ARRAY_SIZE(buffer); i++)
		grant(GRANT_BUFFER + i, buffer[i]);
	xs_begin();
}

static char *decimal(char *to, u32 number)
{
	char digits[12];
	u32 n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (n)
		*to++ = digits[--n];
	*to = 0;
	return to;
}

void front_write(const char *name, u32 value)
{
	char path[64] = FRONT, text[12];

	memcpy(path + sizeof(FRONT) - 1, name, strlen(name) + 1);
	decimal(text, value);
	check(xs_write(path, text, "OK"));
}

void front_is(u32 state)
{
	front_write("state", state);
}

bool back_is(u32 state)
{
	char text[2] = { (char)('0' + state), 0 };

	return WAIT_FOR(xs_says(XS_READ, BACK, text), SLOW_MS);
}

void disk_connect(void)
{
	u32 kept[2] = { DOMID_SELF, 0 }, old = disk_port;

	if (old) {
		front_is(CLOSED);
		check(back_is(CLOSED));
		evtchn_op(3, &old);
		front_is(INITIALISING);
		check(back_is(INIT_WAIT));
	}
	memset(&ring, 0, sizeof(ring));
	ring.req_event = ring.rsp_event = 1;
	seen = 0;
	grant(GRANT_RING, &ring);
	check_equal(evtchn_op(6, kept), 0);
	disk_port = kept[1];
	check(xs_write(FRONT "protocol", "x86_64-abi", "OK"));
	front_write("ring-ref", GRANT_RING);
	front_write("event-channel", disk_port);
	front_is(INITIALISED);
}

void disk_kick(void)
{
	check_equal(evtchn_op(4, &disk_port), 0);
}

int disk_do(const struct request *r)
{
	struct answer *a = &ring.entry[seen % RING].answer;

	ring.entry[ring.req_prod % RING].request = *r;
	__atomic_store_n(&ring.req_prod, ring.req_prod + 1, __ATOMIC_RELEASE);
	disk_kick();
	if (!WAIT_FOR(__atomic_load_n(&ring.rsp_prod, __ATOMIC_ACQUIRE) != seen, SLOW_MS))
		return NOTHING;
	seen++;
	check_equal(a->id, r->id);
	check_equal(a->op, r->op == INDIRECT ? r->count : r->op);
	return a->status;
}

struct request one_page(u8 op, u64 sector)
{
	static u64 last = 0x1234567800000000;
	struct request r = { .op = op, .count = 1, .id = ++last, .sector = sector };

	r.segment[0] = (struct segment){ GRANT_BUFFER, 0, 7, 0 };
	return r;
}
