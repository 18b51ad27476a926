// SPDX-License-Identifier: Apache-2.0
#include "iov.h"

// One part of a copy: [*ret, *ret + bytes) of the piece that holds `offset`; 0 past the end.
static size_t next_part(const struct iovec **piece, uint32_t *count, size_t *offset, size_t left,
			uint8_t **ret)
{
	while (*count && *offset >= (*piece)->iov_len) {
		*offset -= (*piece)->iov_len;
		(*piece)++;
		(*count)--;
	}
	if (!*count || !left)
		return 0;
	size_t part = (*piece)->iov_len - *offset;
	*ret = (uint8_t *)(*piece)->iov_base + *offset;
	part = part < left ? part : left;
	*offset += part;
	return part;
}

size_t iov_to_buf(const struct iovec *piece, uint32_t count, size_t offset, void *buf, size_t len)
{
	size_t done = 0, part;
	uint8_t *from;

	while ((part = next_part(&piece, &count, &offset, len - done, &from))) {
		memcpy((uint8_t *)buf + done, from, part);
		done += part;
	}
	return done;
}

size_t iov_from_buf(const struct iovec *piece, uint32_t count, size_t offset, const void *buf,
		    size_t len)
{
	size_t done = 0, part;
	uint8_t *to;

	while ((part = next_part(&piece, &count, &offset, len - done, &to))) {
		memcpy(to, (const uint8_t *)buf + done, part);
		done += part;
	}
	return done;
}
