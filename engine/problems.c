/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the list of all that is wrong with a file and its display: sorted, without repeats, each with the source line
 * and a caret. Messages are escaped here, once, since they quote text from plans. */
#include "yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MSG_MAX        800
#define EXCERPT_BEFORE 48 /* characters shown before the caret of a long line, and all in all: */
#define EXCERPT_MAX    100

static char *
escaped(const char *s, size_t len)
{
	struct buf safe = BUF_INIT(MSG_MAX);

	text_escape(&safe, s, len);
	return buf_take(&safe);
}

PRINTF(4, 0)
static void
add(struct problems *p, struct pos where, const char *hint, const char *fmt, va_list ap)
{
	struct problem *at;
	char *raw;

	if (p->n == PROBLEMS_MAX) {
		p->dropped++;
		return;
	}
	if (p->n == p->cap) {
		p->cap = p->cap == 0 ? 8 : p->cap * 2;
		p->list = xreallocarray(p->list, p->cap, sizeof(*p->list));
	}
	raw = xvasprintf(fmt, ap);
	at = &p->list[p->n++];
	*at = (struct problem){ .where = where, .msg = escaped(raw, strlen(raw)) };
	if (where.file != NULL)
		at->where.file = xstrdup(where.file);
	if (hint != NULL)
		at->hint = escaped(hint, strlen(hint));
	free(raw);
}

static void
problem_done(struct problem *p)
{
	free((char *)p->where.file);
	free(p->msg);
	free(p->hint);
}

void
problems_add(struct problems *p, struct pos where, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, where, hint, fmt, ap);
	va_end(ap);
}

void
problems_add_near(struct problems *p, struct pos where, const char *word, const char *const *names,
		  size_t n, const char *fmt, ...)
{
	const char *near = p->n < PROBLEMS_MAX ? text_nearest(word, names, n) : NULL;
	char *hint = near != NULL ? xasprintf("did you mean '%s'?", near) : NULL;
	va_list ap;

	va_start(ap, fmt);
	add(p, where, hint, fmt, ap);
	va_end(ap);
	free(hint);
}

static int
problem_cmp(const void *x, const void *y)
{
	const struct problem *a = x, *b = y;
	int d = strcmp(a->where.file ? a->where.file : "", b->where.file ? b->where.file : "");

	if (d == 0)
		d = (a->where.line > b->where.line) - (a->where.line < b->where.line);
	if (d == 0)
		d = (a->where.col > b->where.col) - (a->where.col < b->where.col);
	return d != 0 ? d : strcmp(a->msg, b->msg);
}

void
problems_sort(struct problems *p)
{
	size_t kept = 0;

	if (p->n == 0)
		return;
	qsort(p->list, p->n, sizeof(*p->list), problem_cmp);
	for (size_t i = 0; i < p->n; i++) {
		if (kept > 0 && problem_cmp(&p->list[kept - 1], &p->list[i]) == 0)
			problem_done(&p->list[i]);
		else
			p->list[kept++] = p->list[i];
	}
	p->n = kept;
}

/* The n-th next character from at; end when there are fewer. */
static const char *
skip_chars(const char *at, const char *end, size_t n)
{
	for (; n > 0 && at < end; n--) {
		at++;
		while (at < end && ((unsigned char)*at & 0xC0) == 0x80)
			at++;
	}
	return at;
}

/* Escape a part of one source line, tabs as one blank; returns the columns it takes. */
static size_t
put_part(struct buf *to, const char *at, const char *end)
{
	const size_t before = to->len;
	size_t columns = 0;

	for (const char *p = at; p <= end; p++)
		if (p == end || *p == '\t') {
			text_escape(to, at, (size_t)(p - at));
			if (p < end)
				buf_putc(to, ' ');
			at = p + 1;
		}
	for (size_t i = before; i < to->len; i++)
		columns += ((unsigned char)to->p[i] & 0xC0) != 0x80;
	return columns;
}

static void
put_excerpt(struct buf *to, const struct problem *p, const char *line, const char *end)
{
	const size_t col = p->where.col > 0 ? p->where.col - 1 : 0;
	const size_t skip = col > EXCERPT_MAX - 20 ? col - EXCERPT_BEFORE : 0;
	const char *from = skip_chars(line, end, skip), *caret = skip_chars(from, end, col - skip);
	const char *to_end = skip_chars(from, end, EXCERPT_MAX);
	size_t columns;

	buf_printf(to, "%6u | %s", p->where.line, skip > 0 ? "…" : "");
	columns = (skip > 0) + put_part(to, from, caret);
	(void)put_part(to, caret, to_end);
	buf_printf(to, "%s\n       | %*s^", to_end < end ? "…" : "", (int)columns, "");
	if (p->hint != NULL)
		buf_printf(to, " %s", p->hint);
	buf_putc(to, '\n');
}

/* A walk over the lines of a text, so that sorted problems find theirs in one pass. */
struct lines {
	const char *text, *text_end;
	const char *at, *end; /* of line number */
	uint32_t number;
};

static bool
lines_seek(struct lines *l, uint32_t number)
{
	if (l->number == 0 || number < l->number) {
		l->at = l->text;
		l->number = 1;
	}
	for (;;) {
		size_t left = (size_t)(l->text_end - l->at);

		l->end = left > 0 ? memchr(l->at, '\n', left) : NULL;
		if (l->end == NULL)
			l->end = l->text_end;
		if (l->number == number)
			break;
		if (l->end == l->text_end)
			return false;
		l->at = l->end + 1;
		l->number++;
	}
	if (l->end > l->at && l->end[-1] == '\r')
		l->end--;
	return true;
}

void
problems_source(struct problems *p, const char *file, const char *text, size_t len)
{
	p->sources = xreallocarray(p->sources, p->nsources + 1, sizeof(*p->sources));
	p->sources[p->nsources++] = (struct problem_source){ xstrdup(file), xstrndup(text, len), len };
}

static const struct problem_source *
source_of(const struct problems *p, const char *file, const struct problem_source *other)
{
	for (size_t i = 0; file != NULL && i < p->nsources; i++)
		if (strcmp(p->sources[i].file, file) == 0)
			return &p->sources[i];
	return other;
}

void
problems_show(const struct problems *p, struct buf *to, const char *text, size_t len)
{
	const struct problem_source whole = { .text = (char *)text, .len = len }, *source = NULL;
	struct lines lines = { 0 };

	for (size_t i = 0; i < p->n; i++) {
		const struct problem *at = &p->list[i];
		const struct problem_source *its = source_of(p, at->where.file, &whole);
		bool placed = at->where.line > 0;

		if (its != source)
			lines = (struct lines){ .text = its->text, .text_end = its->len > 0 ? its->text + its->len : its->text };
		source = its;

		if (at->where.file != NULL)
			text_escape(to, at->where.file, strlen(at->where.file));
		if (placed)
			buf_printf(to, ":%u:%u", at->where.line, at->where.col);
		buf_printf(to, "%s%s\n", at->where.file != NULL || placed ? ": " : "", at->msg);
		if (placed && its->len > 0 && lines_seek(&lines, at->where.line))
			put_excerpt(to, at, lines.at, lines.end);
		else if (at->hint != NULL)
			buf_printf(to, "       %s\n", at->hint);
	}
	if (p->dropped > 0)
		buf_printf(to, "… and %zu more\n", p->dropped);
}

void
problems_done(struct problems *p)
{
	for (size_t i = 0; i < p->n; i++)
		problem_done(&p->list[i]);
	for (size_t i = 0; i < p->nsources; i++) {
		free(p->sources[i].file);
		free(p->sources[i].text);
	}
	free(p->sources);
	free(p->list);
	*p = PROBLEMS_INIT;
}
