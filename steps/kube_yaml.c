/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical YAML of objects. What is plain is decided by what is known to be harmless, not by a list of what is not. */
#include "steps/kube_yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "step.h"

#define KEY_MAX 1000 /* longer ones cannot stand before a ':' (YAML 1.2, 7.4.3) */

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What one of the YAMLs in use reads as null, truth or number although it begins with a letter. */
static bool
is_reserved(const char *s)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf" };

	for (size_t i = 0; i < countof(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

static bool
is_plain(const char *s, size_t len)
{
	if (len == 0 || (!is_alpha(s[0]) && s[0] != '/' && s[0] != '_') || is_reserved(s))
		return false;
	for (size_t i = 1; i < len; i++) {
		const bool ends = i + 1 == len;

		if (is_alpha(s[i]) || (s[i] >= '0' && s[i] <= '9') || (s[i] != '\0' && strchr("_-./@+=(),;$%", s[i]) != NULL))
			continue;
		if ((s[i] == ' ' || s[i] == ':') && !ends && s[i + 1] != ' ')
			continue;
		return false;
	}
	return true;
}

/* The code point that begins at p, of checked UTF-8, and its length. */
static uint32_t
code_point(const unsigned char *p, size_t *ret_len)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = p[0] & mask[len];

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	*ret_len = len;
	return c;
}

/* May it stand as it is? Not what is no text, breaks lines, or turns the direction of what follows. */
static bool
is_printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return false;
	return c != 0x200e && c != 0x200f && c != 0x061c && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

/* Lines that begin with what is no space, none of it blank at its end: whoever reads them reads the same. */
static bool
is_literal(const char *s, size_t len)
{
	if (memchr(s, '\n', len) == NULL || strchr(" \t\n", s[0]) != NULL)
		return false;
	for (size_t i = 0, n; i < len; i += n) {
		const uint32_t c = code_point((const unsigned char *)s + i, &n);

		if (c != '\n' && c != '\t' && !is_printable(c))
			return false;
		if ((c == ' ' || c == '\t') && (i + 1 == len || s[i + 1] == '\n'))
			return false;
	}
	return true;
}

static void
write_quoted(struct buf *to, const char *s, size_t len)
{
	buf_putc(to, '"');
	for (size_t i = 0, n; i < len; i += n) {
		const uint32_t c = code_point((const unsigned char *)s + i, &n);

		if (c == '"' || c == '\\')
			buf_printf(to, "\\%c", (char)c);
		else if (c == '\n' || c == '\t' || c == '\r')
			buf_printf(to, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
		else if (is_printable(c))
			buf_put(to, s + i, n);
		else
			buf_printf(to, c < 0x100 ? "\\x%02X" : c < 0x10000 ? "\\u%04X" : "\\U%08X", (unsigned)c);
	}
	buf_putc(to, '"');
}

static void
indent(struct buf *to, unsigned level)
{
	for (unsigned i = 0; i < level; i++)
		buf_puts(to, "  ");
}

static void
write_literal(struct buf *to, const char *s, size_t len, unsigned level)
{
	size_t breaks = 0;

	while (s[len - 1 - breaks] == '\n')
		breaks++;
	buf_puts(to, breaks == 0 ? "|-\n" : breaks == 1 ? "|\n" : "|+\n");
	for (const char *p = s, *end = s + len, *nl; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		if (nl > p)
			indent(to, level);
		buf_put(to, p, (size_t)(nl - p));
		buf_putc(to, '\n');
	}
}

struct writer {
	struct buf *to;
	struct arena scratch;
	struct err *err;
};

static int write_value(struct writer *w, const struct value *v, unsigned level);

static int
check_text(const struct writer *w, const char *s, size_t len)
{
	if (memchr(s, '\0', len) != NULL)
		return err_set(w->err, ERR_FAILED, "a text in it holds a NUL, which YAML cannot");
	if (utf8_check(s, len) != len)
		return err_set(w->err, ERR_FAILED, "a text in it is not UTF-8");
	return 0;
}

/* A text, at the end of a line; level: of lines that follow. */
static int
write_text(struct writer *w, const char *s, size_t len, unsigned level)
{
	if (check_text(w, s, len) < 0)
		return -1;
	if (is_literal(s, len)) {
		write_literal(w->to, s, len, level);
		return 0;
	}
	if (is_plain(s, len))
		buf_put(w->to, s, len);
	else
		write_quoted(w->to, s, len);
	buf_putc(w->to, '\n');
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	const struct pair *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static bool
is_key(const char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n)
		if (!is_printable(code_point((const unsigned char *)s + i, &n)))
			return false;
	return true;
}

static int
write_key(struct writer *w, const char *key)
{
	const size_t len = strlen(key);

	if (len == 0)
		return err_set(w->err, ERR_FAILED, "a map in it has an empty key");
	if (check_text(w, key, len) < 0)
		return -1;
	if (!is_key(key, len))
		return err_set(w->err, ERR_FAILED, "a key in it holds control characters, which readers of YAML refuse");
	if (len > KEY_MAX)
		buf_puts(w->to, "? ");
	if (is_plain(key, len))
		buf_put(w->to, key, len);
	else
		write_quoted(w->to, key, len);
	return 0;
}

/* What stands behind a key or a '-'. */
static bool
is_block(const struct value *v)
{
	return (v->kind == V_MAP || v->kind == V_LIST) && v->len > 0;
}

/* The pairs; the first line is indented already. */
static int
write_map(struct writer *w, const struct value *map, unsigned level)
{
	const struct pair **sorted = arena_array(&w->scratch, map->len, sizeof(struct pair *));

	for (uint32_t i = 0; i < map->len; i++)
		sorted[i] = &map->pairs[i];
	qsort(sorted, map->len, sizeof(struct pair *), by_key);
	for (uint32_t i = 0; i < map->len; i++) {
		const struct value *v = &sorted[i]->v;
		const unsigned below = v->kind == V_LIST && strlen(sorted[i]->key) <= KEY_MAX ? level : level + 1;

		if (i > 0)
			indent(w->to, level);
		if (write_key(w, sorted[i]->key) < 0)
			return -1;
		if (strlen(sorted[i]->key) > KEY_MAX) {
			buf_putc(w->to, '\n');
			indent(w->to, level);
		}
		buf_puts(w->to, is_block(v) ? ":\n" : ": ");
		if (is_block(v))
			indent(w->to, below);
		if (write_value(w, v, is_block(v) ? below : level + 1) < 0)
			return -1;
	}
	return 0;
}

static int
write_list(struct writer *w, const struct value *list, unsigned level)
{
	for (uint32_t i = 0; i < list->len; i++) {
		if (i > 0)
			indent(w->to, level);
		buf_puts(w->to, "- ");
		if (write_value(w, &list->items[i], level + 1) < 0)
			return -1;
	}
	return 0;
}

static int
write_value(struct writer *w, const struct value *v, unsigned level)
{
	switch (v->kind) {
	case V_MAP:
		if (v->len > 0)
			return write_map(w, v, level);
		buf_puts(w->to, "{}\n");
		return 0;
	case V_LIST:
		if (v->len > 0)
			return write_list(w, v, level);
		buf_puts(w->to, "[]\n");
		return 0;
	case V_STRING:
		return write_text(w, v->s, v->len, level);
	case V_UNKNOWN:
		return err_set(w->err, ERR_PREDICTED, "a part of it is not known: %s", v->s);
	case V_SECRET:
		return err_set(w->err, ERR_FAILED, "bug: a hidden secret was to be written as YAML");
	default: /* null, truth and numbers are written as in JSON */
		value_write(w->to, v);
		buf_putc(w->to, '\n');
		return 0;
	}
}

int
kube_yaml_write(struct buf *to, const struct value *object, struct err *err)
{
	struct writer w = { .to = to, .err = err };
	int rc = write_value(&w, object, 0);

	arena_done(&w.scratch);
	if (rc == 0 && to->failed)
		rc = err_set(err, ERR_FAILED, "it is too large to be written");
	return rc;
}

int
kube_yaml_read(struct arena *a, const char *name, struct bytes text, struct value *ret, struct err *err)
{
	struct problems problems = PROBLEMS_INIT;
	struct node root;
	int rc = 0;

	if (yaml_parse(a, name, text.p, text.len, NULL, NULL, &root, &problems) < 0 && problems.n > 0)
		rc = err_set(err, ERR_FAILED, "%s:%u:%u: %s", name, problems.list[0].where.line, problems.list[0].where.col,
			     problems.list[0].msg);
	else if (root.kind != NODE_MAP)
		rc = err_set(err, ERR_FAILED, "%s: it is no object of Kubernetes", name);
	else
		*ret = node_value(a, &root);
	problems_done(&problems);
	return rc;
}
