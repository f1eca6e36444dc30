/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator: everything in it dies at once. Out of memory aborts: a crash is safe, runs are resumable. */
#ifndef WHERRY_BASE_ARENA_H
#define WHERRY_BASE_ARENA_H

#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *head; /* newest block */
	size_t used, total;       /* bytes used in head, bytes held in all blocks */
};

#define ARENA_INIT ((struct arena){ 0 })

/* Have one block for the next `size` bytes. */
void arena_reserve(struct arena *a, size_t size);
/* Zeroed memory aligned for any type; never NULL. */
void *arena_alloc(struct arena *a, size_t size);
/* The same, not zeroed: for bytes that are filled in anyway. */
void *arena_bytes(struct arena *a, size_t size);
/* A zeroed array of n elements; overflow aborts. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* Copy len bytes and add a NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);
/* Formatted string. */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
/* Forget everything but keep the largest block for reuse. */
void arena_reset(struct arena *a);
/* Free everything; the arena is as ARENA_INIT. */
void arena_done(struct arena *a);

/* malloc family that aborts with a static message when memory is out; callers free() the result. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF(1, 0);

#define countof(a) (sizeof(a) / sizeof((a)[0]))

#endif
