// SPDX-License-Identifier: Apache-2.0
// Channels made and destroyed while their peers talk, leave and join: what the loop is doing for a
// channel at that moment must be over before its memory goes.
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "check.h"

#define LIVES 1500

static struct loop *loop;
static _Atomic int other_end = -1;
static _Atomic bool done;

static size_t on_rx(void *opaque, const uint8_t *buf, size_t len)
{
	(void)opaque;
	(void)buf;
	return len;
}

static void on_ready(void *opaque)
{
	(void)opaque;
}

// Talks to the newest channel and hangs up at some moment.
static void *peer(void *opaque)
{
	unsigned int seed = 1;
	char buf[512];

	(void)opaque;
	while (!atomic_load(&done)) {
		int fd = atomic_exchange(&other_end, -1);
		if (fd < 0) {
			usleep(1);
			continue;
		}
		for (int i = rand_r(&seed) % 4; i > 0; i--) {
			send(fd, "input", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
			recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		}
		close(fd);
	}
	return NULL;
}

static void *live(void *opaque)
{
	struct chan_front front = { .rx = on_rx, .tx_ready = on_ready };
	unsigned int seed = 2;

	(void)opaque;
	for (int i = 0; i < LIVES; i++) {
		int pair[2];
		struct chan *c = chan_create(loop, CHAN_LIMIT_MIN, i % 2 ? CHAN_DROP : CHAN_BLOCK);
		CHECK(c);
		chan_set_front(c, &front);
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
		CHECK(chan_attach(c, pair[0], pair[0]) == 0);
		int unclaimed = atomic_exchange(&other_end, pair[1]);
		if (unclaimed >= 0)
			close(unclaimed);
		for (int n = rand_r(&seed) % 3; n > 0; n--)
			chan_put(c, (const uint8_t *)"output", 6);
		if (rand_r(&seed) % 2)
			usleep((useconds_t)(rand_r(&seed) % 100));
		if (rand_r(&seed) % 2)
			chan_flush(c, 0);
		chan_set_front(c, NULL);
		chan_destroy(c);
	}
	atomic_store(&done, true);
	loop_stop(loop);
	return NULL;
}

int main(void)
{
	pthread_t liver, talker;
	struct loop_event event;
	uint64_t lost = 0;

	signal(SIGPIPE, SIG_IGN);
	CHECK((loop = loop_create()));
	CHECK(!pthread_create(&talker, NULL, peer, NULL));
	CHECK(!pthread_create(&liver, NULL, live, NULL));
	do {
		CHECK(loop_run(loop, &event) == 0);
		lost += event.kind == LOOP_PEER_LOST;
	} while (event.kind != LOOP_STOPPED);
	pthread_join(liver, NULL);
	pthread_join(talker, NULL);
	int unclaimed = atomic_exchange(&other_end, -1);
	if (unclaimed >= 0)
		close(unclaimed);
	loop_destroy(loop);
	printf("lost %llu\n", (unsigned long long)lost);
	return 0;
}
