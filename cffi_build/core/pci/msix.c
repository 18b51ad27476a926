// SPDX-License-Identifier: Apache-2.0
#include "msix_impl.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static uint64_t address_of(const struct msix_vector *v)
{
	return (uint64_t)v->word[WORD_HIGH] << 32 | v->word[WORD_LOW];
}

// A guest whose messages name PIRQs masks event channels instead, and leaves this bit as it was.
static bool masked(const struct msix *m, const struct msix_vector *v)
{
	return v->word[WORD_CONTROL] & MSIX_CONTROL_MASKED &&
	       !router_pirq_named(m->router, address_of(v), v->word[WORD_DATA]);
}

static bool silent(const struct msix *m, const struct msix_vector *v)
{
	return !m->enabled || m->function_mask || v->fd < 0 || masked(m, v);
}

// Adds or takes away the irqfd. Adding one whose eventfd was written meanwhile raises it at once;
// after taking it away nothing arrives any more.
static int irqfd(struct msix *m, const struct msix_vector *v, uint32_t flags)
{
	struct kvm_irqfd arg = { .fd = (uint32_t)v->fd, .gsi = v->gsi, .flags = flags };

	return m->vm_fd >= 0 && ioctl(m->vm_fd, KVM_IRQFD, &arg) < 0 ? -errno : 0;
}

static void detach(struct msix *m, struct msix_vector *v)
{
	if (v->live && !m->sink.changed)
		irqfd(m, v, KVM_IRQFD_FLAG_DEASSIGN);
	v->live = false;
}

// A message that the kernel would refuse must not stay in the table that all devices share.
static void refuse(struct msix *m, struct msix_vector *v)
{
	detach(m, v);
	router_clear(m->router, v->gsi);
	v->routed = false;
	m->failures++;
}

static void route(struct msix *m, struct msix_vector *v)
{
	// GUEST: any address. Anywhere but at the LAPICs this would be a write to memory, which no
	// driver means. Bits 39:32 are none of the destination's (KVM refuses the whole table).
	bool valid = v->word[WORD_LOW] >> 20 == 0xfee && !(v->word[WORD_HIGH] & 0xff);

	v->routed = valid && !router_set_msi(m->router, v->gsi, address_of(v), v->word[WORD_DATA]);
	if (!v->routed)
		refuse(m, v);
}

static void attach(struct msix *m, struct msix_vector *v, bool committed)
{
	if (!committed || (!v->live && irqfd(m, v, 0)))
		refuse(m, v);
	else
		v->live = true;
}

static void refresh(struct msix *m, uint32_t first, uint32_t count)
{
	bool any = false;

	for (uint32_t i = first; i < first + count; i++) {
		struct msix_vector *v = &m->vector[i];
		v->routed = false;
		if (m->sink.changed) {
			v->live = !silent(m, v);
			m->sink.changed(m->sink.opaque, i, address_of(v), v->word[WORD_DATA],
					!v->live);
		} else if (silent(m, v)) {
			detach(m, v);
		} else {
			route(m, v);
			any |= v->routed;
		}
	}
	if (!any)
		return;
	bool committed = !router_commit(m->router);
	for (uint32_t i = first; i < first + count; i++)
		if (m->vector[i].routed)
			attach(m, &m->vector[i], committed);
	if (!committed)
		router_commit(m->router);
}

void msix_refresh(struct msix *m, uint32_t first, uint32_t count)
{
	refresh(m, first, count);
	if (m->source.changed)
		m->source.changed(m->source.opaque, first, count);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

uint8_t msix_pending_byte(struct msix *m, uint64_t first)
{
	uint8_t bits = 0;

	for (uint32_t i = 0; i < 8 && first + i < m->vectors; i++) {
		const struct msix_vector *v = &m->vector[first + i];
		if (!v->live && readable(v->fd))
			bits |= (uint8_t)(1u << i);
	}
	return bits;
}

static int msix_read(struct dev *d, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret)
{
	struct msix *m = container_of(d, struct msix, dev);
	uint64_t value = 0;

	for (uint32_t i = 0; i < size; i++) {
		uint64_t at = offset + i, byte = 0;
		if (region == MSIX_PBA)
			byte = msix_pending_byte(m, at * 8);
		else if (at / ENTRY_BYTES < m->vectors)
			byte = m->vector[at / ENTRY_BYTES].word[at % ENTRY_BYTES / 4] >> at % 4 * 8;
		value |= (byte & 0xff) << 8 * i;
	}
	*ret = value;
	return 0;
}

static void write_word(struct msix_vector *v, uint64_t word, uint32_t value)
{
	static const uint32_t writable[MSIX_ENTRY_WORDS] = {
		[WORD_LOW] = ~3u,
		[WORD_HIGH] = ~0u,
		[WORD_DATA] = ~0u,
		[WORD_CONTROL] = MSIX_CONTROL_MASKED,
	};

	v->word[word] = value & writable[word];
}

static int msix_write(struct dev *d, uint32_t region, uint64_t offset, uint32_t size,
		      uint64_t value)
{
	struct msix *m = container_of(d, struct msix, dev);
	uint64_t n = offset / ENTRY_BYTES, word = offset % ENTRY_BYTES / 4;

	// Whole words, one or two, on their own boundaries (6.8.2); anything else is undefined.
	if (region != MSIX_TABLE || n >= m->vectors || size < 4 || offset % size)
		return 0;
	struct msix_vector *v = &m->vector[n];
	bool was_silent = silent(m, v);
	write_word(v, word, (uint32_t)value);
	if (size == 8)
		write_word(v, word + 1, (uint32_t)(value >> 32));
	if (!was_silent || !silent(m, v))
		msix_refresh(m, (uint32_t)n, 1);
	return 0;
}

static const struct dev_ops msix_ops = { .read = msix_read, .write = msix_write };

struct msix *msix_create(struct irq_router *r, int vm_fd, uint32_t vectors)
{
	errno = EINVAL;
	if (!vectors || vectors > MSIX_MAX_VECTORS)
		return NULL;
	struct msix *m = calloc(1, sizeof(*m) + vectors * sizeof(m->vector[0]));
	if (!m)
		return NULL;
	dev_init(&m->dev, &msix_ops, 0);
	m->router = r;
	m->vm_fd = vm_fd;
	m->vectors = vectors;
	for (uint32_t i = 0; i < vectors; i++) {
		m->vector[i].fd = -1;
		m->vector[i].word[WORD_CONTROL] = MSIX_CONTROL_MASKED;
	}
	return m;
}

void msix_destroy(struct msix *m)
{
	for (uint32_t i = 0; i < m->vectors; i++) {
		struct msix_vector *v = &m->vector[i];
		if (v->fd < 0)
			continue;
		detach(m, v);
		router_clear(m->router, v->gsi);
		close(v->fd);
	}
	dev_deinit(&m->dev);
	free(m);
}

int msix_set_gsi(struct msix *m, uint32_t vector, uint32_t gsi)
{
	LOCKED(&m->dev.lock);
	if (vector >= m->vectors || gsi >= ROUTER_MAX_GSI)
		return -EINVAL;
	if (m->vector[vector].fd >= 0)
		return -EBUSY;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	m->vector[vector].gsi = gsi;
	m->vector[vector].fd = fd;
	return 0;
}

void msix_set_sink(struct msix *m, struct msix_sink sink)
{
	LOCKED(&m->dev.lock);
	m->sink = sink;
}

void msix_set_source(struct msix *m, struct msix_source source)
{
	LOCKED(&m->dev.lock);
	m->source = source;
}

void msix_control(struct msix *m, bool enabled, bool function_mask)
{
	LOCKED(&m->dev.lock);
	if (m->enabled == enabled && m->function_mask == function_mask)
		return;
	m->enabled = enabled;
	m->function_mask = function_mask;
	msix_refresh(m, 0, m->vectors);
}

void msix_fire(struct msix *m, uint32_t vector)
{
	int fd = msix_fd(m, vector);
	uint64_t one = 1;

	if (fd >= 0) {
		ssize_t n = write(fd, &one, sizeof(one));
		(void)n; // full: it is raised already
	}
}

int msix_fd(struct msix *m, uint32_t vector)
{
	return vector < m->vectors ? m->vector[vector].fd : -1;
}

uint32_t msix_pending(struct msix *m, uint32_t first)
{
	uint32_t bits = 0;

	LOCKED(&m->dev.lock);
	for (uint32_t i = 0; i < 4; i++)
		bits |= (uint32_t)msix_pending_byte(m, first + 8 * i) << 8 * i;
	return bits;
}
