// SPDX-License-Identifier: Apache-2.0
// Datagrams between a guest and its host, for measurements:
//   udp serve ADDRESS              in the guest: says BENCH-HELLO, echoes, sends in bulk when asked
//   udp ping ADDRESS COUNT SIZE    round trips to it; prints the nanoseconds they took
//   udp bulk ADDRESS COUNT SIZE    datagrams from it; likewise
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 7, SINK = 9, LARGEST = 1 << 16, PATIENCE = 60 };

struct request {
	char kind; // 'p': send it back; 'b': send `count` datagrams of `size` bytes to SINK
	uint32_t count, size;
};

static char buffer[LARGEST];

static int fail(const char *what)
{
	fprintf(stderr, "udp: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int opened(const char *address, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || !inet_aton(address, &at.sin_addr) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail("bind");
	return fd;
}

// As fast as the card takes them; a full queue is no reason to leave one out.
static void send_all(int fd, struct sockaddr_in to, struct request r)
{
	to.sin_port = htons(SINK);
	for (uint32_t i = 0; i < r.count; i++)
		while (sendto(fd, buffer, r.size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			if (errno != ENOBUFS && errno != EAGAIN)
				fail("sendto");
}

static void serve(const char *address)
{
	int fd = opened(address, PORT);

	puts("BENCH-HELLO");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &len);
		if (n < (ssize_t)sizeof(struct request))
			continue;
		struct request r;
		memcpy(&r, buffer, sizeof(r));
		if (r.kind == 'b' && r.size <= sizeof(buffer))
			send_all(fd, from, r);
		if (sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, len) < 0)
			fail("sendto");
	}
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void exchange(int fd, size_t size)
{
	if (send(fd, buffer, size, 0) < 0)
		fail("send");
	if (recv(fd, buffer, sizeof(buffer), 0) < 0)
		fail("no answer");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2]);
	if (argc != 5)
		return 2;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct timeval patience = { .tv_sec = PATIENCE };
	uint32_t count = (uint32_t)atoi(argv[3]), size = (uint32_t)atoi(argv[4]);
	int bulk = !strcmp(argv[1], "bulk"), fd = opened("0.0.0.0", 0);

	opened("0.0.0.0", SINK); // nobody reads: what it has no room for is dropped
	inet_aton(argv[2], &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		fail("connect");
	struct request r = { bulk ? 'b' : 'p', count, size };
	memcpy(buffer, &r, sizeof(r));
	uint64_t start = now();
	for (uint32_t i = 0; i < (bulk ? 1 : count); i++)
		exchange(fd, bulk ? sizeof(r) : size);
	printf("%llu\n", (unsigned long long)(now() - start));
	return 0;
}
