// SPDX-License-Identifier: Apache-2.0
// What the guest's shell cannot do with a virtio port: `portio VERB NAME [NUMBER]`.
//
// NAME is a port's name (its device is looked up) or a path. Answers are printed as NAME=VALUE.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"
#define CHUNK 32768

static char buf[CHUNK];

// The device node of the port called `name`; false if there is none now.
static int look_up(const char *name, char *ret, size_t size)
{
	char path[300], found[256];
	struct dirent *entry;
	DIR *dir = opendir(PORTS);
	int yes = 0;

	if (name[0] == '/') {
		snprintf(ret, size, "%s", name);
		yes = access(name, F_OK) == 0;
	}
	while (!yes && dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), PORTS "/%.40s/name", entry->d_name);
		FILE *file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(found, sizeof(found), file)) {
			found[strcspn(found, "\n")] = 0;
			yes = !strcmp(found, name);
			snprintf(ret, size, "/dev/%.40s", entry->d_name);
		}
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return yes;
}

// Opens a port, waiting for it to appear. A negative errno, -EBUSY for instance, is an answer.
static int open_port(const char *name, int flags)
{
	char path[300];
	int fd;

	do {
		while (!look_up(name, path, sizeof(path)))
			usleep(1000);
		fd = open(path, flags);
	} while (fd < 0 && (errno == ENODEV || errno == ENXIO || errno == ENOENT));
	return fd < 0 ? -errno : fd;
}

// Echoes `left` bytes, or until the port goes. How many it was.
static long echo(int fd, long left)
{
	long done = 0;

	while (left > 0) {
		ssize_t n = read(fd, buf, left < CHUNK ? (size_t)left : CHUNK);
		if (n < 0)
			break;
		if (!n)
			usleep(500); // nobody at the other end now
		for (ssize_t at = 0, w; at < n; at += w) {
			w = write(fd, buf + at, (size_t)(n - at));
			if (w < 0)
				return done;
		}
		left -= n;
		done += n;
	}
	return done;
}

// `times` times: opens the port when it comes, echoes 5000 bytes, waits until it goes.
static long plug(const char *name, long times)
{
	long good = 0;

	for (long i = 0; i < times; i++) {
		int fd = open_port(name, O_RDWR);
		if (fd < 0)
			break;
		good += echo(fd, 5000) == 5000;
		while (read(fd, buf, CHUNK) >= 0)
			usleep(500);
		close(fd);
	}
	return good;
}

static void show_poll(int fd)
{
	struct pollfd port = { .fd = fd, .events = POLLIN | POLLOUT };

	poll(&port, 1, 0);
	printf("poll=%c%c%c\n", port.revents & POLLIN ? 'i' : '-',
	       port.revents & POLLOUT ? 'o' : '-', port.revents & POLLHUP ? 'h' : '-');
}

// Waits for input and takes it. One open does both: with the port's end what is unread goes, too.
static void take(int fd)
{
	struct pollfd port = { .fd = fd, .events = POLLIN };

	poll(&port, 1, -1);
	show_poll(fd);
	ssize_t n = read(fd, buf, CHUNK);
	printf("taken=%.*s\n", n < 0 ? 0 : (int)n, buf);
}

static void try_nonblock(int fd)
{
	ssize_t n = read(fd, buf, 10);

	printf("nonblock-read=%zd\n", n < 0 ? -errno : n);
	n = write(fd, "x", 1);
	printf("nonblock-write=%zd\n", n < 0 ? -errno : n);
}

// Writes without waiting until the port, opened so, takes no more; then waits for the rest.
static void fill(int fd, long number)
{
	long done = 0;
	ssize_t n;

	memset(buf, 'f', CHUNK);
	while (done < number && (n = write(fd, buf, 4096)) > 0)
		done += n;
	printf("filled=%d\n", errno == EAGAIN);
	fflush(stdout);
	fcntl(fd, F_SETFL, 0);
	for (; done < number; done += n) {
		n = write(fd, buf, number - done < CHUNK ? (size_t)(number - done) : CHUNK);
		if (n < 0)
			break;
	}
	printf("written=%ld\n", done);
}

// Numbered lines, one write each; how many.
static long storm(int fd, long number)
{
	long i;

	for (i = 0; i < number; i++) {
		char line[32];
		int len = snprintf(line, sizeof(line), "%06ld\n", i);
		if (write(fd, line, (size_t)len) != len)
			break;
	}
	return i;
}

static void show_window(int fd)
{
	struct winsize size = { 0 };

	ioctl(fd, TIOCGWINSZ, &size);
	printf("window=%ux%u\n", size.ws_col, size.ws_row);
	fflush(stdout);
}

// The size of a terminal now, and after each of `number` changes. The signal is blocked so that
// none is lost between two waits.
static void window(int fd, long number)
{
	sigset_t winch;
	int got;

	sigemptyset(&winch);
	sigaddset(&winch, SIGWINCH);
	sigprocmask(SIG_BLOCK, &winch, NULL);
	setsid();
	ioctl(fd, TIOCSCTTY, 1);
	show_window(fd);
	for (long i = 0; i < number; i++) {
		sigwait(&winch, &got);
		show_window(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	const char *verb = argv[1], *name = argv[2];
	long number = argc > 3 ? atol(argv[3]) : 0;

	if (!strcmp(verb, "echo")) {
		int fd = open_port(name, O_RDWR);
		printf("echoed-%s=%ld\n", name, fd < 0 ? (long)fd : echo(fd, number));
	} else if (!strcmp(verb, "plug")) {
		printf("plugged-%s=%ld\n", name, plug(name, number));
	} else if (!strcmp(verb, "twice")) {
		int first = open_port(name, O_RDWR), second = open_port(name, O_RDWR);
		printf("twice=%d %d\n", first >= 0, second);
	} else if (!strcmp(verb, "poll")) {
		show_poll(open_port(name, O_RDWR | O_NONBLOCK));
	} else if (!strcmp(verb, "take")) {
		take(open_port(name, O_RDWR));
	} else if (!strcmp(verb, "nonblock")) {
		try_nonblock(open_port(name, O_RDWR | O_NONBLOCK));
	} else if (!strcmp(verb, "fill")) {
		fill(open_port(name, O_RDWR | O_NONBLOCK), number);
	} else if (!strcmp(verb, "storm")) {
		printf("stormed=%ld\n", storm(open_port(name, O_WRONLY), number));
	} else if (!strcmp(verb, "window")) {
		window(open_port(name, O_RDWR | O_NOCTTY), number);
	} else {
		return 2;
	}
	return 0;
}
