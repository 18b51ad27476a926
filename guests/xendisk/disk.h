/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of a PV disk, step by step (xen/include/public/io/blkif.h), that can do everything
 * wrong. */
#ifndef GUEST_XENDISK_H
#define GUEST_XENDISK_H

#include "../lib/xenstore.h"

#define SECTOR 512
#define RING 32 /* requests in a ring of one page */
#define SEGMENTS 11

enum { READ, WRITE, FLUSH = 3, DISCARD = 5, INDIRECT = 6 };
enum { OKAY = 0, ERROR = -1, EOPNOTSUPP_ = -2, NOTHING = -99 };
enum { INITIALISING = 1, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED };

struct segment {
	u32 gref;
	u8 first, last;
	u16 pad;
};

struct request {
	u8 op, count;
	u16 indirect_count;
	u32 pad;
	u64 id, sector;
	union {
		struct segment segment[SEGMENTS];
		u64 sectors;
		struct {
			u16 handle, pad;
			u32 gref[8];
		} indirect;
	};
};

struct answer {
	u64 id;
	u8 op, pad;
	short status;
	u32 pad2;
};

struct ring {
	u32 req_prod, req_event, rsp_prod, rsp_event;
	u8 pad[48];
	union {
		struct request request;
		struct answer answer;
	} entry[RING];
};

extern struct ring ring;
extern u8 buffer[16][4096];
extern u32 disk_port;
struct grant {
	u16 flags, domid;
	u32 frame;
};
extern struct grant grants[512];

#define GRANT_RING 8
#define GRANT_BUFFER 16 /* and the following */
#define PERMIT 1
#define READ_ONLY 4

void disk_begin(void); /* a grant table, and grants of the ring and of buffers */
bool back_is(u32 state); /* within SLOW_MS */
void front_is(u32 state);
void front_write(const char *name, u32 value);
/* A ring is offered, and taken; what the last one was used for is over. */
void disk_connect(void);
void disk_kick(void);
int disk_do(const struct request *r); /* the status, NOTHING if none came within SLOW_MS */
struct request one_page(u8 op, u64 sector);
#endif
