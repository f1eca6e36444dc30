/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: plan nodes whose scalars may hold expressions. A scalar without any never meets Lua; one that is wholly an
 * expression keeps the type of its result; inside longer text results become text, and one UNKNOWN or secret part makes
 * the whole text so. "$${{" stands for "${{". */
#include <string.h>

#include "expr_int.h"

#define OPEN "${{"
#define OPEN_LEN 3

bool
template_has_expr(const char *s)
{
	return strstr(s, OPEN) != NULL;
}

/* The next "${{" at or after s that opens an expression: not one of "$${{". */
static const char *
next_open(const char *start, const char *s)
{
	while ((s = strstr(s, OPEN)) != NULL && s > start && s[-1] == '$')
		s += OPEN_LEN;
	return s;
}

/* The place in the file of the byte at offset `at` of a scalar. Exact for plain scalars and for quoted ones without
 * escapes before it; a scalar with newlines that is not plain is taken for a block, which begins a line later. */
static struct pos
scalar_pos(const struct node *n, size_t at, const char *file)
{
	struct pos where = node_pos(n, file);

	if (!n->plain && memchr(n->s, '\n', n->len) != NULL) {
		where.line++;
		where.col = 1;
	} else if (!n->plain) {
		where.col++;
	}
	return expr_pos_at(n->s, at, where);
}

static size_t
skip_blanks(const char *s, size_t at)
{
	while (s[at] == ' ' || s[at] == '\t' || s[at] == '\n' || s[at] == '\r')
		at++;
	return at;
}

int
template_whole(const struct node *n, const char **ret_src, size_t *ret_len, struct pos *ret_where)
{
	const char *src, *close;
	size_t at;

	if (n->kind != NODE_SCALAR)
		return 0;
	at = skip_blanks(n->s, 0);
	if (strncmp(n->s + at, OPEN, OPEN_LEN) != 0)
		return 0;
	src = n->s + at + OPEN_LEN;
	close = expr_close(src, n->s + n->len);
	if (close == NULL) {
		*ret_where = scalar_pos(n, at, NULL);
		return -1;
	}
	if (n->s[skip_blanks(n->s, (size_t)(close - n->s) + 2)] != '\0')
		return 0;
	*ret_src = src;
	*ret_len = (size_t)(close - src);
	*ret_where = scalar_pos(n, (size_t)(src - n->s), NULL);
	return 1;
}

/* --- evaluate --- */

struct template {
	struct expr_host *h;
	const char *file;
	const struct expr_env *env;
	struct arena *a;
	struct err *err;
};

/* Literal text, with "$${{" undone. */
static void
put_literal(struct buf *to, const char *s, const char *end)
{
	const char *at;

	while ((at = memmem(s, (size_t)(end - s), "$" OPEN, OPEN_LEN + 1)) != NULL) {
		buf_put(to, s, (size_t)(at - s));
		buf_puts(to, OPEN);
		s = at + OPEN_LEN + 1;
	}
	buf_put(to, s, (size_t)(end - s));
}

/* One part's value into the text; the first UNKNOWN and the first secret decide for all. */
static void
put_part(struct buf *text, const struct value *v, struct value *unknown, const struct secret **secret)
{
	if (v->kind == V_UNKNOWN && unknown->kind == V_NULL) {
		*unknown = *v;
	} else if (v->kind == V_SECRET) {
		if (*secret == NULL)
			*secret = v->secret;
		buf_put(text, v->secret->content, v->secret->len);
	} else if (v->kind == V_STRING) {
		buf_put(text, v->s, v->len);
	}
}

static int
unterminated(struct err *err, struct pos where)
{
	return err_at(err, where, "'${{' without '}}'");
}

/* The parts of a scalar, concatenated into text. */
static int
interpolate_parts(const struct template *t, const struct node *n, struct buf *text, struct value *unknown,
		  const struct secret **secret)
{
	const char *s = n->s, *end = n->s + n->len, *open, *close;
	struct value part;
	struct pos where;

	while ((open = next_open(n->s, s)) != NULL) {
		put_literal(text, s, open);
		where = scalar_pos(n, (size_t)(open - n->s) + OPEN_LEN, t->file);
		close = expr_close(open + OPEN_LEN, end);
		if (close == NULL)
			return unterminated(t->err, where);
		if (expr_eval_text(t->h, open + OPEN_LEN, (size_t)(close - open) - OPEN_LEN, where, t->env, t->a, &part,
				   t->err) < 0)
			return -1;
		put_part(text, &part, unknown, secret);
		s = close + 2;
	}
	put_literal(text, s, end);
	return 0;
}

static int
interpolate(const struct template *t, const struct node *n, struct value *ret)
{
	struct buf text = BUF_INIT(EXPR_MEMORY);
	struct value unknown = VALUE_NULL;
	const struct secret *secret = NULL;
	struct secret *whole;
	char *s;
	int rc = interpolate_parts(t, n, &text, &unknown, &secret);

	if (rc == 0 && text.failed)
		rc = err_at(t->err, scalar_pos(n, 0, t->file), "the text would be longer than %u MiB", EXPR_MEMORY >> 20);
	if (rc == 0 && unknown.kind == V_UNKNOWN) {
		*ret = unknown;
	} else if (rc == 0) {
		s = arena_strndup(t->a, text.len > 0 ? text.p : "", text.len);
		*ret = value_strn(s, text.len);
		if (secret != NULL) {
			whole = arena_alloc(t->a, sizeof(*whole));
			*whole = (struct secret){ .where = secret->where, .len = text.len, .content = s };
			*ret = value_secret(whole);
		}
	}
	if (secret != NULL && text.cap > 0)
		explicit_bzero(text.p, text.cap);
	buf_done(&text);
	return rc;
}

static int
eval_scalar(const struct template *t, const struct node *n, struct value *ret)
{
	const char *src;
	struct pos where;
	size_t len;

	if (!template_has_expr(n->s)) {
		*ret = node_value(t->a, n);
		return 0;
	}
	switch (template_whole(n, &src, &len, &where)) {
	case 0:
		return interpolate(t, n, ret);
	case 1:
		where.file = t->file;
		return expr_eval(t->h, src, len, where, t->env, t->a, ret, t->err);
	default:
		where.file = t->file;
		return unterminated(t->err, where);
	}
}

static int
eval_node(const struct template *t, const struct node *n, struct value *ret)
{
	struct value *items;
	struct pair *pairs;

	if (n->kind == NODE_SCALAR)
		return eval_scalar(t, n, ret);
	if (n->kind == NODE_LIST) {
		items = arena_array(t->a, n->len, sizeof(*items));
		for (uint32_t i = 0; i < n->len; i++)
			if (eval_node(t, &n->items[i], &items[i]) < 0)
				return -1;
		*ret = value_list(items, n->len);
		return 0;
	}
	pairs = arena_array(t->a, n->len, sizeof(*pairs));
	for (uint32_t i = 0; i < n->len; i++) {
		pairs[i].key = arena_strndup(t->a, n->items[2 * i].s, n->items[2 * i].len);
		if (eval_node(t, &n->items[2 * i + 1], &pairs[i].v) < 0)
			return -1;
	}
	*ret = value_map(pairs, n->len);
	return 0;
}

int
template_eval(struct expr_host *h, const struct node *n, const char *file, const struct expr_env *env,
	      struct arena *a, struct value *ret, struct err *err)
{
	return eval_node(&(struct template){ .h = h, .file = file, .env = env, .a = a, .err = err }, n, ret);
}

/* --- check --- */

struct check {
	struct expr_host *h;
	const char *file;
	expr_ref_fn *fn;
	void *data;
	struct problems *problems;
};

static void
check_source(const struct check *c, const char *src, size_t len, struct pos where)
{
	struct err err = ERR_INIT;

	if (expr_check(c->h, src, len, where, c->fn, c->data, &err) < 0 && err.kind != ERR_NONE)
		problems_add(c->problems, err.where, err.next[0] != '\0' ? err.next : NULL, "%s", err.msg);
}

static void
check_scalar(const struct check *c, const struct node *n)
{
	const char *s = n->s, *end = n->s + n->len, *open, *close;
	struct pos where;

	while ((open = next_open(n->s, s)) != NULL) {
		where = scalar_pos(n, (size_t)(open - n->s) + OPEN_LEN, c->file);
		close = expr_close(open + OPEN_LEN, end);
		if (close == NULL) {
			problems_add(c->problems, where, NULL, "'${{' without '}}'");
			return;
		}
		check_source(c, open + OPEN_LEN, (size_t)(close - open) - OPEN_LEN, where);
		s = close + 2;
	}
}

static void
check_node(const struct check *c, const struct node *n)
{
	const struct node *key;

	if (n->kind == NODE_SCALAR)
		check_scalar(c, n);
	for (uint32_t i = 0; n->kind == NODE_LIST && i < n->len; i++)
		check_node(c, &n->items[i]);
	for (uint32_t i = 0; n->kind == NODE_MAP && i < n->len; i++) {
		key = &n->items[2 * i];
		if (next_open(key->s, key->s) != NULL)
			problems_add(c->problems, node_pos(key, c->file), NULL, "a key cannot hold an expression");
		check_node(c, &key[1]);
	}
}

void
template_check(struct expr_host *h, const struct node *n, const char *file, expr_ref_fn *fn, void *data,
	       struct problems *problems)
{
	check_node(&(struct check){ .h = h, .file = file, .fn = fn, .data = data, .problems = problems }, n);
}
