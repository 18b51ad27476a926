// SPDX-License-Identifier: Apache-2.0
#include "evtchn.h"

// The word with the port's bit in one of the bitmaps, and that bit. 0 or -errno.
static int word_of(const struct evtchn *e, uint32_t port, bool mask, uint32_t **word, uint32_t *bit)
{
	uint64_t base = mask ? (e->wide ? EVTCHN_MASK64 : EVTCHN_MASK32) : EVTCHN_PENDING;
	struct gmem_piece piece;

	// GUEST: the port is the guest's.
	if (port >= (e->wide ? EVTCHN_PORTS64 : EVTCHN_PORTS32))
		return -EINVAL;
	if (gmem_at(e->memory, e->dev, e->page + base + (uint64_t)(port / 32) * 4, 4, GMEM_WRITE,
		    &piece, 1) != 1)
		return -EFAULT;
	*word = piece.hva;
	*bit = 1u << port % 32;
	return 0;
}

static int words_of(const struct evtchn *e, uint32_t port, uint32_t **pending, uint32_t **mask,
		    uint32_t *bit)
{
	int err = word_of(e, port, false, pending, bit);

	return err ? err : word_of(e, port, true, mask, bit);
}

int evtchn_clear_pending(const struct evtchn *e, uint32_t port)
{
	uint32_t *word, bit;
	int err = word_of(e, port, false, &word, &bit);

	if (err)
		return err;
	return !!(__atomic_fetch_and(word, ~bit, __ATOMIC_RELEASE) & bit);
}

int evtchn_unmask(const struct evtchn *e, uint32_t port)
{
	uint32_t *pending, *mask, bit;
	int err = words_of(e, port, &pending, &mask, &bit);

	if (err)
		return err;
	__atomic_fetch_and(mask, ~bit, __ATOMIC_SEQ_CST);
	return !!(__atomic_fetch_and(pending, ~bit, __ATOMIC_SEQ_CST) & bit);
}

int evtchn_set_pending(const struct evtchn *e, uint32_t port)
{
	uint32_t *pending, *mask, bit;
	int err = words_of(e, port, &pending, &mask, &bit);

	if (err)
		return err;
	int state = __atomic_fetch_or(pending, bit, __ATOMIC_SEQ_CST) & bit ? 1 : 0;
	return __atomic_load_n(mask, __ATOMIC_SEQ_CST) & bit ? state | 2 : state;
}

int evtchn_look(const struct evtchn *e, uint32_t port)
{
	uint32_t *pending, *mask, bit;
	int err = words_of(e, port, &pending, &mask, &bit);

	if (err)
		return err;
	int state = __atomic_load_n(pending, __ATOMIC_ACQUIRE) & bit ? 1 : 0;
	return __atomic_load_n(mask, __ATOMIC_ACQUIRE) & bit ? state | 2 : state;
}

int evtchn_take(const struct evtchn *e, uint32_t port)
{
	int state = evtchn_look(e, port);

	return state == 1 ? evtchn_clear_pending(e, port) : state < 0 ? state : 0;
}
