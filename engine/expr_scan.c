/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what can be said about an expression without running it: where it ends, what it refers to, and mistakes that
 * Lua would only find at run time (an unknown name, a root without a literal key). It reads tokens, not grammar: Lua has
 * compiled the same text already. */
#include <string.h>

#include "base/text.h"
#include "expr_int.h"
#include "expr_lex.h"

static const char *const roots[] = { "params", "targets", "steps", "item", "index", "value", "run", "key" };
#define ROOTS_KEYED 3 /* the first ones take a literal key */

bool
expr_is_root(const char *s, size_t len)
{
	return lex_is_one_of(s, len, roots, countof(roots));
}

bool
expr_root_has_keys(const char *root)
{
	return lex_is_one_of(root, strlen(root), roots, ROOTS_KEYED);
}

const char *
expr_close(const char *p, const char *end)
{
	struct lexer lx = { p, end };
	struct token t;
	size_t depth = 0;

	for (t = lex_next(&lx); t.kind != T_END && t.kind != T_BAD; t = lex_next(&lx)) {
		if (token_is_op(&t, "{")) {
			depth++;
		} else if (token_is_op(&t, "}") && depth > 0) {
			depth--;
		} else if (token_is_op(&t, "}")) {
			if (lx.p < end && *lx.p == '}')
				return t.p;
			break;
		}
	}
	/* Unbalanced, or "}}" sits in an open string or a comment: let Lua name the fault of the obvious part. */
	return memmem(p, (size_t)(end - p), "}}", 2);
}

struct pos
expr_pos_at(const char *src, size_t at, struct pos where)
{
	for (size_t i = 0; i < at; i++) {
		if (src[i] == '\n') {
			where.line++;
			where.col = 1;
		} else if (((unsigned char)src[i] & 0xc0) != 0x80) {
			where.col++;
		}
	}
	return where;
}

size_t
expr_find_token(const char *src, size_t len, uint32_t line, const char *token, size_t token_len, size_t from)
{
	struct lexer lx = { src, src + len };
	const char *counted = src;
	uint32_t at = 1;

	for (;;) {
		struct token t = lex_next(&lx);

		for (; counted < t.p; counted++)
			at += *counted == '\n';
		if (t.kind == T_END || at > line)
			return 0;
		if (at == line && (size_t)(t.p - src) >= from && t.len == token_len && memcmp(t.p, token, token_len) == 0)
			return (size_t)(lx.p - src);
	}
}

/* --- names --- */

#define LOCALS_MAX 64

struct scan {
	struct arena *a;
	const char *src;
	struct pos where;
	struct lexer lx;
	struct token prev, now;
	struct token locals[LOCALS_MAX];
	size_t nlocals;
	size_t brackets, blocks; /* open "(" "[" "{", open blocks */
	uint64_t in_table;       /* a bit for each open bracket, the innermost last: is it a "{" */
	expr_ref_fn *fn;
	void *data;
	struct err *err;
};

static int
fault(struct scan *s, const struct token *t, const char *msg)
{
	return err_at(s->err, expr_pos_at(s->src, (size_t)(t->p - s->src), s->where), "%s", msg);
}

static void
advance(struct scan *s)
{
	s->prev = s->now;
	s->now = lex_next(&s->lx);
}

static struct token
peek(const struct scan *s)
{
	struct lexer lx = s->lx;

	return lex_next(&lx);
}

static int
declare(struct scan *s, const struct token *t)
{
	if (expr_is_root(t->p, t->len))
		return fault(s, t, arena_printf(s->a, "'%.*s' is a name of the plan and cannot be a local name: choose another",
						(int)t->len, t->p));
	if (s->nlocals == LOCALS_MAX)
		return fault(s, t, "more than 64 local names");
	s->locals[s->nlocals++] = *t;
	return 0;
}

/* The names after `local`, `for` or the "(" of a function: NAME [<attrib>] {, NAME}. */
static int
declare_list(struct scan *s, struct lexer lx)
{
	struct token t = lex_next(&lx);

	while (t.kind == T_NAME) {
		if (declare(s, &t) < 0)
			return -1;
		t = lex_next(&lx);
		if (token_is_op(&t, "<")) {
			(void)lex_next(&lx);
			(void)lex_next(&lx);
			t = lex_next(&lx);
		}
		if (!token_is_op(&t, ","))
			break;
		t = lex_next(&lx);
	}
	return 0;
}

/* Names may be used before they are declared in the text of another function, so all are collected first. */
static int
collect_locals(struct scan *s)
{
	struct lexer ahead;
	struct token t;
	int rc = 0;

	for (advance(s); rc == 0 && s->now.kind != T_END; advance(s)) {
		ahead = s->lx;
		t = lex_next(&ahead);
		if (token_is_name(&s->now, "function")) {
			if (t.kind == T_NAME)
				rc = declare(s, &t);
			if (t.kind == T_NAME)
				t = lex_next(&ahead);
			if (rc == 0 && token_is_op(&t, "("))
				rc = declare_list(s, ahead);
		} else if (token_is_name(&s->now, "for") || (token_is_name(&s->now, "local") && !token_is_name(&t, "function"))) {
			rc = declare_list(s, s->lx);
		}
	}
	return rc;
}

static bool
is_local(const struct scan *s, const struct token *t)
{
	for (size_t i = 0; i < s->nlocals; i++)
		if (s->locals[i].len == t->len && memcmp(s->locals[i].p, t->p, t->len) == 0)
			return true;
	return false;
}

static int
unknown_name(struct scan *s, const struct token *t)
{
	const char **names = arena_array(s->a, expr_nfns + countof(roots), sizeof(*names)), *near;
	char *name = arena_strndup(s->a, t->p, t->len);
	size_t n = 0;

	for (size_t i = 0; i < expr_nfns; i++) {
		if (strcspn(expr_fns[i].name, ".") == t->len && memcmp(expr_fns[i].name, t->p, t->len) == 0)
			return 0;
		names[n++] = expr_fns[i].name;
	}
	for (size_t i = 0; i < countof(roots); i++)
		names[n++] = roots[i];
	(void)fault(s, t, arena_printf(s->a, "unknown name '%s'", name));
	near = text_nearest(name, names, n);
	return near != NULL ? err_next(s->err, "did you mean '%s'?", near) : -1;
}

/* --- references --- */

/* After a root or a step's name: ".NAME" or "['literal']", consumed; 1 found, 0 something else. */
static int
literal_key(struct scan *s, const char **ret)
{
	struct lexer lx = s->lx;
	struct token open = lex_next(&lx), name = lex_next(&lx), close;

	if (token_is_op(&open, ".") && name.kind == T_NAME) {
		*ret = arena_strndup(s->a, name.p, name.len);
		advance(s);
		advance(s);
		return 1;
	}
	close = lex_next(&lx);
	if (!token_is_op(&open, "[") || name.kind != T_STRING || !token_is_op(&close, "]") || name.p[0] == '[' ||
	    memchr(name.p, '\\', name.len) != NULL)
		return 0;
	*ret = arena_strndup(s->a, name.p + 1, name.len - 2);
	for (int i = 0; i < 3; i++)
		advance(s);
	return 1;
}

static int
check_member(struct scan *s, const struct token *at, const char *step, const char *member)
{
	static const char *const members[] = { "outputs", "status", "ran", "items" };
	const char *near;

	if (lex_is_one_of(member, strlen(member), members, countof(members)))
		return 0;
	(void)fault(s, at, arena_printf(s->a, "step '%s' has outputs, status, ran and items, but no '%s'", step, member));
	near = text_nearest(member, members, countof(members));
	if (near != NULL)
		return err_next(s->err, "did you mean '%s'?", near);
	return err_next(s->err, "its results are under outputs: steps.%s.outputs.%s", step, member);
}

static int
reference(struct scan *s)
{
	struct token at = s->now;
	struct expr_ref ref = { .where = expr_pos_at(s->src, (size_t)(at.p - s->src), s->where) };

	ref.root = arena_strndup(s->a, at.p, at.len);
	if (expr_root_has_keys(ref.root)) {
		if (!literal_key(s, &ref.key))
			return fault(s, &at, arena_printf(s->a, "'%s' takes literal keys only: write %s.NAME or %s['NAME']",
							  ref.root, ref.root, ref.root));
		if (strcmp(ref.root, "steps") == 0 && literal_key(s, &ref.member)) {
			if (check_member(s, &at, ref.key, ref.member) < 0)
				return -1;
			if (strcmp(ref.member, "outputs") == 0)
				(void)literal_key(s, &ref.output);
		}
	}
	return s->fn != NULL && s->fn(s->data, &ref) < 0 ? -1 : 0;
}

/* A name in the place of a variable? Not a member, a method, a label, an attribute or a key of a table constructor. */
static bool
is_variable(const struct scan *s)
{
	struct token next = peek(s);

	if (token_is_op(&s->prev, ".") || token_is_op(&s->prev, ":") || token_is_op(&s->prev, "::") || token_is_name(&s->prev, "goto"))
		return false;
	if (token_is_op(&s->prev, "<") && token_is_op(&next, ">"))
		return !token_is_name(&s->now, "const") && !token_is_name(&s->now, "close");
	return !(token_is_op(&next, "=") && (s->in_table & 1) &&
		 (token_is_op(&s->prev, "{") || token_is_op(&s->prev, ",") || token_is_op(&s->prev, ";")));
}

static int
scan_name(struct scan *s)
{
	static const char *const words[] = {
		"and",   "break", "do",  "else", "elseif", "end",    "false", "for",  "function", "goto",  "if",
		"in",    "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while",
	};
	static const char *const openers[] = { "function", "if", "do", "repeat" }, *const closers[] = { "end", "until" };

	if (lex_is_one_of(s->now.p, s->now.len, words, countof(words))) {
		s->blocks += lex_is_one_of(s->now.p, s->now.len, openers, countof(openers));
		if (s->blocks > 0)
			s->blocks -= lex_is_one_of(s->now.p, s->now.len, closers, countof(closers));
		return 0;
	}
	if (!is_variable(s))
		return 0;
	if (expr_is_root(s->now.p, s->now.len))
		return reference(s);
	return is_local(s, &s->now) ? 0 : unknown_name(s, &s->now);
}

static int
scan_op(struct scan *s)
{
	const struct token *t = &s->now;
	char c = t->len == 1 ? t->p[0] : '\0';

	if (c == '(' || c == '[' || c == '{') {
		s->brackets++;
		s->in_table = s->in_table << 1 | (c == '{');
	} else if (s->brackets > 0 && (c == ')' || c == ']' || c == '}')) {
		s->brackets--;
		s->in_table >>= 1;
	} else if (s->brackets == 0 && s->blocks == 0 && (c == ',' || c == ';')) {
		return fault(s, t, "one expression is wanted here, not several");
	}
	return 0;
}

int
expr_scan(struct arena *a, const char *src, size_t len, struct pos where, expr_ref_fn *fn, void *data,
	  struct err *err)
{
	struct scan s = { .a = a, .src = src, .where = where, .lx = { src, src + len }, .fn = fn, .data = data, .err = err };
	int rc;

	rc = collect_locals(&s);
	s.lx = (struct lexer){ src, src + len };
	s.now = (struct token){ .kind = T_END };
	advance(&s);
	if (rc == 0 && s.now.kind == T_END)
		return err_at(err, where, "the expression is empty");
	for (; rc == 0 && s.now.kind != T_END; advance(&s)) {
		if (s.now.kind == T_NAME)
			rc = scan_name(&s);
		else if (s.now.kind == T_OP)
			rc = scan_op(&s);
	}
	return rc;
}
