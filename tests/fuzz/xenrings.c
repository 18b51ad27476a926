// SPDX-License-Identifier: Apache-2.0
// The Xen console's and xenstore's rings, with a guest that writes what it likes into their pages
// and whoever is behind them answering now and then.
#include <sys/socket.h>

#include "fuzz_loop.h"
#include "xencon.h"
#include "xsring.h"

#define PAGE 4096u
#define MEMORY (4 * PAGE)
#define CON (1 * PAGE)
#define STORE (2 * PAGE)

struct rig {
	uint8_t *ram;
	struct ticker ticker;
	struct xencon *con;
	struct xsring *store;
	struct chan *chan;
	int kick[2], call[2], peer;
};

// As xenstore does: a request is answered by something of another length.
static void serve(struct rig *r, struct input *in)
{
	static uint8_t message[XSRING_MESSAGE];

	for (int i = 0; i < 4; i++) {
		int n = xsring_take(r->store, message);
		MUST(n >= XSRING_IDLE && n <= XSRING_MESSAGE);
		if (n == XSRING_NONE)
			return;
		MUST(n <= 0 || n >= XSRING_HEADER);
		uint32_t len = (uint32_t)take(in, 2) % (XSRING_MESSAGE + 2);
		int err = xsring_put(r->store, message,
				     len > XSRING_MESSAGE ? XSRING_MESSAGE + 1 : len);
		MUST(!err || err == -EAGAIN || (err == -EMSGSIZE && len > XSRING_MESSAGE));
	}
}

static void connect_both(struct rig *r)
{
	MUST(!xencon_connect(r->con, CON, r->kick[0], r->call[0]));
	MUST(!xsring_connect(r->store, STORE, r->kick[1], r->call[1]));
}

static void disconnect_both(struct rig *r)
{
	xencon_disconnect(r->con);
	xsring_disconnect(r->store);
}

static void one_step(struct rig *r, struct input *in)
{
	const uint64_t one = 1;
	uint8_t what = (uint8_t)take(in, 1), buf[256];
	uint32_t page = what & 0x80 ? STORE : CON, at, len;

	switch (what % 8) {
	case 0: // an index or another word behind the data
		at = page + (page == CON ? 3072 : 2048) + 4 * ((uint32_t)take(in, 1) % 8);
		*(uint32_t *)(r->ram + at) = (uint32_t)take(in, 4);
		break;
	case 1: // an index moves on
		at = page + (page == CON ? 3072 : 2048) + 4 * ((uint32_t)take(in, 1) % 4);
		*(uint32_t *)(r->ram + at) += (uint32_t)take(in, 2);
		break;
	case 2:
		at = page + (uint32_t)take(in, 2) % 3072;
		len = (uint32_t)take(in, 1);
		take_into(in, r->ram + at, len);
		break;
	case 3:
		len = (uint32_t)take(in, 1);
		take_into(in, buf, len);
		MUST(send(r->peer, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= -1);
		break;
	case 4:
		MUST(recv(r->peer, buf, sizeof(buf), MSG_DONTWAIT) >= -1);
		break;
	case 5:
		serve(r, in);
		break;
	case 6:
		if (what & 0x40) {
			disconnect_both(r);
			if (what & 0x20)
				memset(r->ram, 0, MEMORY);
			connect_both(r);
		} else {
			xencon_pause(r->con, what & 0x20);
			xsring_pause(r->store, what & 0x20);
		}
		break;
	default:
		break;
	}
	MUST(write(r->kick[page == STORE], &one, sizeof(one)) == sizeof(one));
	ticker_run(&r->ticker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct rig rig, *r = &rig;
	struct gmem *m = gmem_create();
	int pair[2];

	MUST(m && (r->ram = calloc(1, MEMORY)));
	MUST(!gmem_add(m, 0, MEMORY, r->ram, 0));
	ticker_init(&r->ticker);
	for (int i = 0; i < 2; i++)
		MUST((r->kick[i] = eventfd(0, EFD_NONBLOCK)) >= 0 &&
		     (r->call[i] = eventfd(0, EFD_NONBLOCK)) >= 0);
	MUST((r->chan = chan_create(r->ticker.loop, CHAN_LIMIT_MIN, take(&in, 1) & 1)));
	MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	r->peer = pair[0];
	MUST(!chan_attach(r->chan, pair[1], pair[1]));
	MUST((r->con = xencon_create(m, r->ticker.loop, r->chan)));
	MUST((r->store = xsring_create(m, r->ticker.loop)));
	connect_both(r);
	while (in.left)
		one_step(r, &in);
	xencon_destroy(r->con);
	xsring_destroy(r->store);
	chan_destroy(r->chan);
	ticker_deinit(&r->ticker);
	gmem_destroy(m);
	for (int i = 0; i < 2; i++) {
		close(r->kick[i]);
		close(r->call[i]);
	}
	close(r->peer);
	free(r->ram);
	return 0;
}
