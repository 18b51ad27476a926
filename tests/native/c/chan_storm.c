// SPDX-License-Identifier: Apache-2.0
// Several threads put lines into one blocking channel while another replaces its peer, flushes and
// changes its front-end, and the peers write input. With a pipe that outlives every peer nothing
// may be lost and each thread's lines stay in order.
#define _GNU_SOURCE // pipe2
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "chan.h"
#include "check.h"

#define WRITERS 3
#define LINES 4000
#define LINE 8 // "w nnnnn\n"
#define SWAPS 300

static struct loop *loop;
static struct chan *chan;
static int out_pipe[2], in_pipe[2];
static _Atomic uint64_t input, ready;

static size_t on_rx(void *opaque, const uint8_t *buf, size_t len)
{
	size_t take = len > 3 ? len / 2 : len;

	(void)opaque;
	for (size_t i = 0; i < take; i++)
		CHECK(buf[i] == 'i');
	atomic_fetch_add(&input, take);
	if (take < len)
		chan_rx_resume(chan);
	return take;
}

static void on_ready(void *opaque)
{
	(void)opaque;
	atomic_fetch_add(&ready, 1);
}

static void *writer(void *opaque)
{
	char name = (char)('a' + (intptr_t)opaque);

	for (int i = 0; i < LINES; i++) {
		char line[32];
		CHECK(snprintf(line, sizeof(line), "%c %05d\n", name, i) == LINE);
		// A line is put whole or not at all, so that threads do not mix theirs.
		while (!chan_can_put(chan) || chan_put(chan, (uint8_t *)line, LINE) != LINE)
			usleep(20);
	}
	return NULL;
}

static void *reader(void *opaque)
{
	static uint8_t buf[WRITERS * LINES * LINE];
	size_t have = 0;
	int next[WRITERS] = { 0 };

	(void)opaque;
	while (have < sizeof(buf)) {
		ssize_t n = read(out_pipe[0], buf + have, sizeof(buf) - have);
		CHECK(n > 0);
		have += (size_t)n;
	}
	for (size_t at = 0; at < have; at += LINE) {
		int who = buf[at] - 'a', number = atoi((char *)buf + at + 2);
		CHECK(who >= 0 && who < WRITERS && buf[at + LINE - 1] == '\n');
		CHECK(number == next[who]++);
	}
	return NULL;
}

static void *swapper(void *opaque)
{
	struct chan_front front = { .rx = on_rx, .tx_ready = on_ready };

	(void)opaque;
	for (int i = 0; i < SWAPS; i++) {
		int in = fcntl(in_pipe[0], F_DUPFD_CLOEXEC, 0);
		int out = fcntl(out_pipe[1], F_DUPFD_CLOEXEC, 0);
		CHECK(chan_attach(chan, in, out) == 0);
		chan_set_front(chan, i % 3 ? &front : NULL);
		CHECK(write(in_pipe[1], "iiiiiiii", 8) == 8);
		chan_flush(chan, i % 2);
		struct chan_counters counters;
		uint8_t tail[64];
		chan_counters(chan, &counters);
		CHECK(chan_tail(chan, tail, sizeof(tail)) <= sizeof(tail));
		usleep(100);
	}
	chan_set_front(chan, &front);
	return NULL;
}

static void *stop_when_done(void *opaque)
{
	pthread_t *thread = opaque;

	for (int i = 0; i < WRITERS + 2; i++)
		pthread_join(thread[i], NULL);
	while (atomic_load(&input) < 8 * SWAPS)
		usleep(1000);
	loop_stop(loop);
	return NULL;
}

int main(void)
{
	pthread_t thread[WRITERS + 2], stopper;
	struct loop_event event;

	signal(SIGPIPE, SIG_IGN);
	CHECK((loop = loop_create()));
	// The limit is a multiple of LINE, so that a full buffer never splits a line.
	CHECK((chan = chan_create(loop, CHAN_LIMIT_MIN, CHAN_BLOCK)));
	CHECK(!pipe2(out_pipe, O_CLOEXEC | O_NONBLOCK) && !pipe2(in_pipe, O_CLOEXEC | O_NONBLOCK));
	CHECK(!fcntl(out_pipe[0], F_SETFL, 0)); // the reader waits
	for (intptr_t i = 0; i < WRITERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, writer, (void *)i));
	CHECK(!pthread_create(&thread[WRITERS], NULL, reader, NULL));
	CHECK(!pthread_create(&thread[WRITERS + 1], NULL, swapper, NULL));
	CHECK(!pthread_create(&stopper, NULL, stop_when_done, thread));
	do {
		CHECK(loop_run(loop, &event) == 0);
	} while (event.kind != LOOP_STOPPED);
	pthread_join(stopper, NULL);
	struct chan_counters counters;
	chan_counters(chan, &counters);
	CHECK(counters.dropped_bytes == 0 && counters.buffered == 0);
	chan_destroy(chan);
	loop_destroy(loop);
	printf("input %llu, ready %llu\n", (unsigned long long)atomic_load(&input),
	       (unsigned long long)atomic_load(&ready));
	return 0;
}
