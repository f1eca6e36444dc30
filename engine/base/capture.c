/* SPDX-License-Identifier: Apache-2.0 */
/* Owns which part of an output is kept, and in how much memory. */
#include "base/capture.h"

#include <string.h>

#define SLACK 16384

static size_t
head_of(const struct capture *c)
{
	return c->tail_only ? 0 : c->cap / 2;
}

static void
trim(struct capture *c)
{
	const size_t head = head_of(c);
	size_t excess;

	if (c->kept.len <= c->cap)
		return;
	excess = c->kept.len - c->cap;
	memmove(c->kept.p + head, c->kept.p + head + excess, c->cap - head);
	c->kept.len = c->cap;
	c->kept.p[c->cap] = '\0';
	c->dropped += excess;
}

void
capture_add(struct capture *c, const void *p, size_t n)
{
	buf_put(&c->kept, p, n);
	/* Now and then only, or each piece would move the whole tail. */
	if (c->kept.len > 2 * c->cap + SLACK)
		trim(c);
}

struct buf
capture_end(struct capture *c)
{
	const size_t head = head_of(c);
	struct buf all = BUF_INIT(0);

	trim(c);
	if (c->dropped == 0 || c->tail_only)
		return c->kept;
	buf_put(&all, c->kept.p, head);
	buf_printf(&all, "\n[… %llu bytes dropped …]\n", (unsigned long long)c->dropped);
	buf_put(&all, c->kept.p + head, c->kept.len - head);
	buf_done(&c->kept);
	return all;
}
