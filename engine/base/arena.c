/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the blocks behind an arena and the malloc family that never returns NULL. Out of memory aborts with a static
 * message: a crash is safe here, since every run can be resumed. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4096)
#define BLOCK_MIN 4096
#define BLOCK_MAX (1U << 20) /* half a huge page: many arenas end in a block that is mostly empty */
#define ALIGN 16U

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(ALIGN) char data[];
};

static _Noreturn void
out_of_memory(void)
{
	static const char msg[] = "wherry: out of memory; the run can be resumed\n";

	(void)!write(STDERR_FILENO, msg, sizeof(msg) - 1);
	abort();
}

/* Ask for huge pages where a whole one may fit: to touch memory for the first time costs a fifth then. All pages of it are
 * asked for, or a later mremap would find two mappings. */
static void *
huge(void *p, size_t size)
{
	const size_t over = (uintptr_t)p % SMALL_PAGE;

	if (size >= HUGE_PAGE)
		(void)madvise((char *)p - over, (over + size + SMALL_PAGE - 1) & ~(SMALL_PAGE - 1), MADV_HUGEPAGE);
	return p;
}

/* Memory that begins with a huge page, and ends with one where that wastes little. */
static void *
take_large(size_t size)
{
	const size_t waste = -size % HUGE_PAGE, all = waste <= size / 8 ? size + waste : size;
	void *p;

	if (posix_memalign(&p, HUGE_PAGE, all) != 0)
		out_of_memory();
	return huge(p, all);
}

void
arena_reserve(struct arena *a, size_t size)
{
	struct arena_block *b = xmalloc(sizeof(*b) + size);

	b->size = size;
	b->next = a->head;
	a->head = b;
	a->used = 0;
	a->total += size;
}

/* Memory that begins at a multiple of align; not zeroed. */
static char *
take(struct arena *a, size_t want, size_t align)
{
	size_t block;
	char *p;

	if (want > SIZE_MAX / 2)
		out_of_memory();
	a->used = (a->used + align - 1) & ~(align - 1);
	if (a->head == NULL || a->used > a->head->size || a->head->size - a->used < want) {
		block = a->head == NULL ? BLOCK_MIN : a->head->size * 2;
		if (block > BLOCK_MAX)
			block = BLOCK_MAX;
		if (block < want)
			block = want;
		if (a->head != NULL && a->head->next == NULL && a->used == 0)
			arena_done(a); /* what a reset has kept is too small: it would only be held */
		arena_reserve(a, block);
	}
	p = a->head->data + a->used;
	a->used += want;
	return p;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	return memset(take(a, size, ALIGN), 0, size);
}

void *
arena_bytes(struct arena *a, size_t size)
{
	return take(a, size, ALIGN);
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		out_of_memory();
	return arena_alloc(a, total);
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = take(a, len + 1, 1);

	if (len > 0)
		memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void
arena_reset(struct arena *a)
{
	struct arena_block *b, *next, *keep = a->head;

	if (a->head == NULL)
		return;
	for (b = a->head->next; b != NULL; b = next) {
		struct arena_block *smaller = b->size > keep->size ? keep : b;

		next = b->next;
		keep = b->size > keep->size ? b : keep;
		free(smaller);
	}
	a->head = keep;
	a->head->next = NULL;
	a->used = 0;
	a->total = a->head->size;
}

void
arena_done(struct arena *a)
{
	arena_reset(a);
	free(a->head);
	*a = ARENA_INIT;
}

void *
xmalloc(size_t size)
{
	void *p;

	if (size >= HUGE_PAGE)
		return take_large(size);
	p = malloc(size ? size : 1);
	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		out_of_memory();
	return huge(p, n * size);
}

void *
xrealloc(void *old, size_t size)
{
	void *p;

	if (old == NULL)
		return xmalloc(size);
	p = realloc(old, size ? size : 1);
	if (p == NULL)
		out_of_memory();
	return p;
}

void *
xreallocarray(void *old, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		out_of_memory();
	return xrealloc(old, total);
}

char *
xstrndup(const char *s, size_t len)
{
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *p;

	if (vasprintf(&p, fmt, ap) < 0)
		out_of_memory();
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = xvasprintf(fmt, ap);
	va_end(ap);
	return p;
}
