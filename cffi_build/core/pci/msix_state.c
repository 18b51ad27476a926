// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "msix_impl.h"

// Takes a count away. Only while nobody else does.
static void forget(struct msix_vector *v)
{
	uint64_t count;

	if (v->fd >= 0) {
		ssize_t n = read(v->fd, &count, sizeof(count));
		(void)n; // nothing there: nothing pending
	}
}

// Silent, and nothing pending. Context: lock held.
static void quieten(struct msix *m)
{
	m->enabled = false;
	msix_refresh(m, 0, m->vectors);
	for (uint32_t i = 0; i < m->vectors; i++)
		forget(&m->vector[i]);
}

void msix_reset(struct msix *m)
{
	LOCKED(&m->dev.lock);
	m->function_mask = false;
	quieten(m);
	for (uint32_t i = 0; i < m->vectors; i++) {
		memset(m->vector[i].word, 0, sizeof(m->vector[i].word));
		m->vector[i].word[WORD_CONTROL] = MSIX_CONTROL_MASKED;
	}
}

void msix_save(struct msix *m, struct msix_state *ret)
{
	LOCKED(&m->dev.lock);
	memset(ret, 0, sizeof(*ret));
	ret->version = MSIX_STATE_VERSION;
	ret->vectors = m->vectors;
	ret->enabled = m->enabled;
	ret->function_mask = m->function_mask;
	for (uint32_t i = 0; i < m->vectors; i++)
		memcpy(&ret->table[(size_t)i * MSIX_ENTRY_WORDS], m->vector[i].word, ENTRY_BYTES);
	for (uint32_t i = 0; i < m->vectors; i += 8)
		ret->pending[i / 8] = msix_pending_byte(m, i);
}

static bool fits(const struct msix *m, const struct msix_state *s)
{
	if (s->version != MSIX_STATE_VERSION || s->vectors != m->vectors || s->enabled > 1 ||
	    s->function_mask > 1)
		return false;
	for (uint32_t i = 0; i < MSIX_MAX_VECTORS; i++) {
		const uint32_t *word = &s->table[(size_t)i * MSIX_ENTRY_WORDS];
		bool used = i < m->vectors, pending = s->pending[i / 8] >> i % 8 & 1;
		if (word[WORD_LOW] & 3 || word[WORD_CONTROL] & ~MSIX_CONTROL_MASKED)
			return false;
		if (!used && (pending || word[WORD_LOW] || word[WORD_HIGH] || word[WORD_DATA] ||
			      word[WORD_CONTROL]))
			return false;
	}
	return true;
}

int msix_load(struct msix *m, const struct msix_state *state)
{
	LOCKED(&m->dev.lock);
	if (!fits(m, state))
		return -EINVAL;
	quieten(m);
	m->enabled = state->enabled;
	m->function_mask = state->function_mask;
	for (uint32_t i = 0; i < m->vectors; i++) {
		memcpy(m->vector[i].word, &state->table[(size_t)i * MSIX_ENTRY_WORDS], ENTRY_BYTES);
		if (state->pending[i / 8] >> i % 8 & 1)
			msix_fire(m, i);
	}
	msix_refresh(m, 0, m->vectors);
	return 0;
}
