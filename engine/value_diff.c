/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the path-wise diff of two values for people: maps member by member, lists item by item, longer texts line by
 * line. Every byte shown is fit for a terminal, and a line is never longer than a screenful. */
#include "value.h"

#include <string.h>

#include "base/text.h"
#include "value_int.h"

#define SHOWN_MAX 400 /* bytes of one value on a line */

struct diff {
	struct buf *to;
	struct buf path;
	unsigned lines, max;
	bool paths; /* only the path of the first */
};

static void diff_value(struct diff *d, const struct value *before, const struct value *after);

/* Begin a line "- path: ", or only count it when max is reached. */
static bool
line_begin(struct diff *d, char sign)
{
	if (d->paths) {
		if (d->lines++ == 0)
			buf_put(d->to, d->path.p, d->path.len);
		return false;
	}
	if (d->lines++ >= d->max)
		return false;
	buf_putc(d->to, sign);
	buf_putc(d->to, ' ');
	if (d->path.len > 0) {
		buf_put(d->to, d->path.p, d->path.len);
		buf_puts(d->to, ": ");
	}
	return true;
}

static void
put_cut(struct buf *to, const struct buf *text)
{
	if (text->len <= SHOWN_MAX) {
		buf_put(to, text->p, text->len);
		return;
	}
	buf_put(to, text->p, utf8_check(text->p, SHOWN_MAX));
	buf_puts(to, "…");
}

static void
line_value(struct diff *d, char sign, const struct value *v)
{
	struct buf text = BUF_INIT(0);

	if (!line_begin(d, sign))
		return;
	value_show(&text, v);
	put_cut(d->to, &text);
	buf_putc(d->to, '\n');
	buf_done(&text);
}

static void
line_text(struct diff *d, char sign, const char *s, size_t len)
{
	struct buf text = BUF_INIT(0);

	if (!line_begin(d, sign))
		return;
	text_escape(&text, s, len);
	put_cut(d->to, &text);
	buf_putc(d->to, '\n');
	buf_done(&text);
}

static void
text_lines(struct diff *d, char sign, const char *s, size_t len)
{
	const char *nl;
	size_t n;

	for (; len > 0; s += n, len -= n) {
		nl = memchr(s, '\n', len);
		n = nl != NULL ? (size_t)(nl - s) + 1 : len;
		line_text(d, sign, s, nl != NULL ? n - 1 : n);
	}
}

/* Does a line begin at `at` of a text whose lines before `head` are done with? */
static bool
begins_line(const char *s, size_t head, size_t at)
{
	return at == head || s[at - 1] == '\n';
}

/* Texts of several lines: without the lines that both begin and end with. */
static void
diff_text(struct diff *d, const struct value *before, const struct value *after)
{
	const char *a = before->s, *b = after->s;
	size_t la = before->len, lb = after->len, least = la < lb ? la : lb, head = 0, tail = 0;

	for (size_t i = 0; i < least && a[i] == b[i]; i++)
		if (a[i] == '\n')
			head = i + 1;
	while (tail < least - head && a[la - 1 - tail] == b[lb - 1 - tail])
		tail++;
	while (tail > 0 && !(begins_line(a, head, la - tail) && begins_line(b, head, lb - tail)))
		tail--;
	text_lines(d, '-', a + head, la - head - tail);
	text_lines(d, '+', b + head, lb - head - tail);
}

static void
path_key(struct buf *path, const char *key)
{
	if (text_is_name(key, strlen(key))) {
		if (path->len > 0)
			buf_putc(path, '.');
		buf_puts(path, key);
		return;
	}
	buf_puts(path, "['");
	text_escape(path, key, strlen(key));
	buf_puts(path, "']");
}

/* One side may be NULL: added or removed. */
static void
diff_member(struct diff *d, const struct value *before, const struct value *after)
{
	if (before == NULL)
		line_value(d, '+', after);
	else if (after == NULL)
		line_value(d, '-', before);
	else
		diff_value(d, before, after);
}

static void
diff_map(struct diff *d, const struct value *before, const struct value *after)
{
	size_t len = d->path.len;
	struct order a, b;
	uint32_t i = 0, j = 0;
	int cmp;

	order_init(&a, before);
	order_init(&b, after);
	while (i < before->len || j < after->len) {
		if (i == before->len || j == after->len)
			cmp = i == before->len ? 1 : -1;
		else
			cmp = strcmp(a.p[i]->key, b.p[j]->key);
		path_key(&d->path, cmp <= 0 ? a.p[i]->key : b.p[j]->key);
		diff_member(d, cmp <= 0 ? &a.p[i]->v : NULL, cmp >= 0 ? &b.p[j]->v : NULL);
		i += cmp <= 0;
		j += cmp >= 0;
		d->path.len = len;
	}
	order_done(&a);
	order_done(&b);
}

static void
diff_list(struct diff *d, const struct value *before, const struct value *after)
{
	size_t len = d->path.len;

	for (uint32_t i = 0; i < before->len || i < after->len; i++) {
		buf_printf(&d->path, "[%u]", i + 1);
		diff_member(d, i < before->len ? &before->items[i] : NULL, i < after->len ? &after->items[i] : NULL);
		d->path.len = len;
	}
}

static bool
is_text(const struct value *v)
{
	return v->kind == V_STRING && utf8_check(v->s, v->len) == v->len;
}

static void
diff_value(struct diff *d, const struct value *before, const struct value *after)
{
	if (value_eq(before, after))
		return;
	if (before->kind == V_MAP && after->kind == V_MAP) {
		diff_map(d, before, after);
	} else if (before->kind == V_LIST && after->kind == V_LIST) {
		diff_list(d, before, after);
	} else if (is_text(before) && is_text(after) &&
		   (memchr(before->s, '\n', before->len) != NULL || memchr(after->s, '\n', after->len) != NULL)) {
		diff_text(d, before, after);
	} else { /* what a secret replaces, or is replaced by, was one most likely */
		line_value(d, '-', after->kind == V_SECRET && before->kind == V_STRING ? after : before);
		line_value(d, '+', before->kind == V_SECRET && after->kind == V_STRING ? before : after);
	}
}

void
value_diff(struct buf *to, const struct value *before, const struct value *after, unsigned max)
{
	struct diff d = { .to = to, .path = BUF_INIT(0), .max = max };

	diff_value(&d, before, after);
	if (d.lines > max)
		buf_printf(to, "… %u more\n", d.lines - max);
	buf_done(&d.path);
}

void
value_diff_path(struct buf *to, const struct value *before, const struct value *after)
{
	struct diff d = { .to = to, .path = BUF_INIT(0), .paths = true };

	diff_value(&d, before, after);
	buf_done(&d.path);
}
