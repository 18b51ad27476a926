// SPDX-License-Identifier: Apache-2.0
// Reads a guest's disk past its page cache and says on the console where it is: for measuring what
// a request costs. Runs under a stock Linux.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	BLOCK = 4096,
	LARGE = 1 << 20,
	DEPTH = 32,
	WARM_UP = 512,
	SINGLE = 2048, // requests one at a time
	MANY = 8192, // requests DEPTH at a time
	PASSES = 2, // over the whole disk, LARGE at a time
};

static int disk;
static uint64_t size;

static void check(int good, const char *what)
{
	if (!good) {
		printf("DISK-FAILED %s\n", what);
		exit(1);
	}
}

static void mark(const char *text)
{
	check(write(1, text, strlen(text)) > 0, "write");
}

// Where the next block is read: the same places in every run.
static uint64_t next_place(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % (size / BLOCK) * BLOCK;
}

static void read_single(void *buffer, int count)
{
	while (count--)
		check(pread(disk, buffer, BLOCK, (off_t)next_place()) == BLOCK, "pread");
}

static void prepare(struct iocb *request, void *buffer)
{
	*request = (struct iocb){
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)disk,
		.aio_buf = (uintptr_t)buffer,
		.aio_nbytes = BLOCK,
		.aio_offset = (int64_t)next_place(),
		.aio_data = (uintptr_t)request,
	};
}

static void read_many(uint8_t *buffers)
{
	static struct iocb request[DEPTH];
	struct iocb *batch[DEPTH];
	struct io_event event[DEPTH];
	aio_context_t context = 0;
	int begun, ended = 0, n = DEPTH;

	check(!syscall(SYS_io_setup, DEPTH, &context), "io_setup");
	for (int i = 0; i < DEPTH; i++) {
		batch[i] = &request[i];
		prepare(batch[i], buffers + i * BLOCK);
	}
	for (begun = 0; ended < MANY; ended += n) {
		check(syscall(SYS_io_submit, context, (long)n, batch) == n, "io_submit");
		begun += n;
		n = (int)syscall(SYS_io_getevents, context, 1L, (long)DEPTH, event, NULL);
		check(n > 0, "io_getevents");
		for (int i = 0; i < n; i++) {
			check(event[i].res == BLOCK, "a read");
			batch[i] = (struct iocb *)(uintptr_t)event[i].data;
			prepare(batch[i], (void *)(uintptr_t)batch[i]->aio_buf);
		}
	}
	syscall(SYS_io_destroy, context);
}

static void read_all(void *buffer)
{
	for (uint64_t at = 0; at < PASSES * size; at += LARGE)
		check(pread(disk, buffer, LARGE, (off_t)(at % size)) == LARGE, "pread");
}

int main(int argc, char **argv)
{
	uint8_t *buffer = aligned_alloc(BLOCK, LARGE);

	disk = open(argc > 1 ? argv[1] : "/dev/vda", O_RDONLY | O_DIRECT);
	check(disk >= 0 && buffer, "open");
	memset(buffer, 0, LARGE);
	size = (uint64_t)lseek(disk, 0, SEEK_END);
	read_single(buffer, WARM_UP);
	mark("DISK-SINGLE\n");
	read_single(buffer, SINGLE);
	mark("DISK-MANY\n");
	read_many(buffer);
	mark("DISK-LARGE\n");
	read_all(buffer);
	mark("DISK-END\n");
	pause();
	return 0;
}
