// SPDX-License-Identifier: Apache-2.0
// What a frame is made of, and its checksum.
#include "xnet_impl.h"

enum {
	ETHER = 14,
	TAG = 4,
	TAGS_MAX = 2,
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_VLAN = 0x8100,
	TYPE_SERVICE = 0x88a8,
	IPV4 = 20,
	IPV4_FRAGMENT = 0x3fff, // more to come, or not the first
	IPV6 = 40,
	NEXT_HOP = 0,
	NEXT_TCP = 6,
	NEXT_UDP = 17,
	NEXT_ROUTING = 43,
	NEXT_OPTIONS = 60,
	TCP = 20,
	TCP_SUM = 16,
	UDP = 8,
	UDP_SUM = 6,
};

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)(at[0] << 8 | at[1]);
}

// Behind IP at `at`: what is there. GUEST: all lengths are the frame's own.
static bool transport(const uint8_t *head, uint32_t len, uint32_t at, uint8_t protocol,
		      struct xnet_layers *ret)
{
	ret->tcp = protocol == NEXT_TCP;
	if (!ret->tcp && protocol != NEXT_UDP)
		return false;
	if (at + (ret->tcp ? TCP : UDP) > len)
		return false;
	ret->start = (uint16_t)at;
	ret->sum = ret->tcp ? TCP_SUM : UDP_SUM;
	uint32_t words = ret->tcp ? head[at + 12] >> 4 : UDP / 4;
	if (words * 4 < (ret->tcp ? TCP : UDP) || at + words * 4 > len)
		return false;
	ret->end = (uint16_t)(at + words * 4);
	return true;
}

static bool over_ipv4(const uint8_t *head, uint32_t len, uint32_t at, struct xnet_layers *ret)
{
	if (at + IPV4 > len)
		return false;
	uint32_t words = head[at] & 0xf;
	if (head[at] >> 4 != 4 || words * 4 < IPV4 || be16(head + at + 6) & IPV4_FRAGMENT)
		return false;
	return transport(head, len, at + words * 4, head[at + 9], ret);
}

static bool over_ipv6(const uint8_t *head, uint32_t len, uint32_t at, struct xnet_layers *ret)
{
	if (at + IPV6 > len || head[at] >> 4 != 6)
		return false;
	uint8_t next = head[at + 6];
	at += IPV6;
	// Each has 8 bytes at least, so that this ends within `len`.
	while (next == NEXT_HOP || next == NEXT_ROUTING || next == NEXT_OPTIONS) {
		if (at + 8 > len)
			return false;
		next = head[at];
		at += (head[at + 1] + 1u) * 8;
	}
	ret->ipv6 = true;
	return transport(head, len, at, next, ret);
}

bool xnet_layers(const uint8_t *head, uint32_t len, struct xnet_layers *ret)
{
	uint32_t at = ETHER, type;

	*ret = (struct xnet_layers){ 0 };
	if (len < ETHER)
		return false;
	type = be16(head + at - 2);
	for (int i = 0; i < TAGS_MAX && (type == TYPE_VLAN || type == TYPE_SERVICE); i++) {
		if (at + TAG > len)
			return false;
		at += TAG;
		type = be16(head + at - 2);
		ret->tagged = true;
	}
	if (type == TYPE_IPV4)
		return over_ipv4(head, len, at, ret);
	return type == TYPE_IPV6 && over_ipv6(head, len, at, ret);
}

// The ones' complement sum of bytes from `from` on to `to`.
static uint16_t sum_of(const struct iovec *piece, uint32_t count, size_t from, size_t to)
{
	uint8_t part[256];
	uint64_t sum = 0;

	while (from < to) {
		size_t n = to - from < sizeof(part) ? to - from : sizeof(part);
		iov_to_buf(piece, count, from, part, n);
		for (size_t i = 0; i < n; i++)
			sum += i % 2 ? part[i] : (uint64_t)part[i] << 8;
		from += n;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

bool xnet_fill_sum(const struct iovec *piece, uint32_t count, uint32_t len,
		   const struct virtio_net_hdr_v1 *h)
{
	size_t at = (size_t)h->csum_start + h->csum_offset;

	if (at + sizeof(uint16_t) > len)
		return false;
	uint16_t sum = (uint16_t)~sum_of(piece, count, h->csum_start, len);
	if (!sum)
		sum = 0xffff; // "none" to UDP, and as good to TCP
	const uint8_t bytes[] = { (uint8_t)(sum >> 8), (uint8_t)sum };
	iov_from_buf(piece, count, at, bytes, sizeof(bytes));
	return true;
}
