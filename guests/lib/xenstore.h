/* SPDX-License-Identifier: Apache-2.0 */
/* xenstore's ring from inside (xen/include/public/io/xs_wire.h), looked at until an answer comes.
 */
#ifndef GUEST_LIB_XENSTORE_H
#define GUEST_LIB_XENSTORE_H

#include "xen.h"

#define XS_RING 1024
#define XS_PAYLOAD 4096

enum {
	XS_CONTROL,
	XS_DIRECTORY,
	XS_READ,
	XS_GET_PERMS,
	XS_WATCH,
	XS_UNWATCH,
	XS_TRANSACTION_START,
	XS_TRANSACTION_END,
	XS_GET_DOMAIN_PATH = 10,
	XS_WRITE,
	XS_MKDIR,
	XS_RM,
	XS_SET_PERMS,
	XS_WATCH_EVENT,
	XS_ERROR,
	XS_RESET_WATCHES = 21,
	XS_DIRECTORY_PART,
};

struct xs_header {
	u32 type, request, transaction, length;
};

struct xs_page {
	u8 req[XS_RING], rsp[XS_RING];
	u32 req_cons, req_prod, rsp_cons, rsp_prod;
	u32 features, connection, error;
};

extern struct xs_page *xs;
extern u32 xs_port;
extern u32 xs_events; /* of watches, that came and were thrown away */
extern struct xs_header xs_answer; /* the last one's */
extern char xs_text[XS_PAYLOAD + 1]; /* its payload, and a zero byte */

void xs_begin(void); /* finds the page and the port */
void xs_kick(void);
/* Puts bytes into the ring, which must take them within SLOW_MS. */
bool xs_put(const void *bytes, u32 length);
bool xs_get(void); /* a whole message, of whatever kind; false after SLOW_MS */
/* Sends a request and waits for its answer. `length` bytes of payload, with all zero bytes. */
bool xs_request(u32 type, u32 transaction, const void *payload, u32 length);
/* The same for one text; whether the answer is `want`, or the error of that name. */
bool xs_says(u32 type, const char *text, const char *want);
/* XS_WRITE; whether it answered `want`. */
bool xs_write(const char *path, const char *value, const char *want);
/* A new beginning: nothing is in the rings, no watch and no transaction is left. */
bool xs_reconnect(void);
#endif
