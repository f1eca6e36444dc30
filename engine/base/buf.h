/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a maximum: append many, check `failed` once. Always NUL-terminated when not empty. */
#ifndef WHERRY_BASE_BUF_H
#define WHERRY_BASE_BUF_H

#include "base/err.h"

#include <stddef.h>
#include <string.h>

struct bytes {
	const void *p;
	size_t len;
};

struct buf {
	char *p;
	size_t len, cap, max; /* where there is a max, cap is at most max + 1: what has room fits */
	bool failed; /* something did not fit under max; the content is cut */
};

/* max 0 means SIZE_MAX / 2. Nothing is allocated until the first byte. */
#define BUF_INIT(m) ((struct buf){ .max = (m) })

/* For buf_put: there is no room yet, or never will be. */
void buf_put_more(struct buf *b, const void *p, size_t len);

static inline void
buf_put(struct buf *b, const void *p, size_t len)
{
	if (len == 0 || b->failed || len >= b->cap - b->len) {
		buf_put_more(b, p, len);
		return;
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
	b->p[b->len] = '\0';
}

static inline void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

static inline void
buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Make room for n more bytes and return where they go; the caller then adds to len. NULL (and failed) over max. */
char *buf_grow(struct buf *b, size_t n);
/* Have memory for n more bytes at once; what does not fit under max is ignored. */
void buf_reserve(struct buf *b, size_t n);
/* Drop the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Keep the memory, drop the content and the failure. */
void buf_clear(struct buf *b);
/* Free; as BUF_INIT(max). */
void buf_done(struct buf *b);
/* Give the NUL-terminated content away (caller frees); never NULL. */
char *buf_take(struct buf *b);

/* Order as memcmp, a shorter prefix first. */
int bytes_cmp(struct bytes a, struct bytes b);
bool bytes_eq(struct bytes a, struct bytes b);

#endif
