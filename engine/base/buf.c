/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory of a growing byte buffer. The first thing that does not fit under the maximum is cut and sets
 * `failed`; from then on everything is ignored, so that no hole can appear in the content. */
#include "base/buf.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

static size_t
room(const struct buf *b)
{
	return (b->max ? b->max : SIZE_MAX / 2) - b->len;
}

/* Have n bytes and a NUL after the content. */
static void
reserve(struct buf *b, size_t n)
{
	size_t want = b->len + n + 1;

	if (want <= b->cap)
		return;
	if (want < b->cap * 2)
		want = b->cap * 2;
	if (want < CAP_MIN)
		want = CAP_MIN;
	b->cap = b->max > 0 && want > b->max + 1 ? b->max + 1 : want;
	b->p = xrealloc(b->p, b->cap);
}

void
buf_put_more(struct buf *b, const void *p, size_t len)
{
	bool fits = len <= room(b);

	if (b->failed)
		return;
	if (!fits)
		len = room(b);
	b->failed = !fits;
	if (len == 0)
		return;
	reserve(b, len);
	memcpy(b->p + b->len, p, len);
	b->len += len;
	b->p[b->len] = '\0';
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	char small[256], *big;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n < sizeof(small)) {
		buf_put(b, small, (size_t)n);
		return;
	}
	big = xmalloc((size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(big, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_put(b, big, (size_t)n);
	free(big);
}

char *
buf_grow(struct buf *b, size_t n)
{
	if (b->failed || n > room(b)) {
		b->failed = true;
		return NULL;
	}
	reserve(b, n);
	/* Zeroed, so that the content ends in a NUL wherever the caller stops. */
	memset(b->p + b->len, 0, n + 1);
	return b->p + b->len;
}

void
buf_reserve(struct buf *b, size_t n)
{
	if (n > 0 && n <= room(b)) {
		reserve(b, n);
		b->p[b->len] = '\0';
	}
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->p, b->p + n, b->len + 1);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

char *
buf_take(struct buf *b)
{
	char *p = b->p != NULL ? b->p : xstrdup("");

	*b = BUF_INIT(b->max);
	return p;
}

int
bytes_cmp(struct bytes a, struct bytes b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.p, b.p, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool
bytes_eq(struct bytes a, struct bytes b)
{
	return a.len == b.len && bytes_cmp(a, b) == 0;
}
