/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the cutting of Lua source into tokens, as Lua does it: strings, long brackets, comments, numbers. */
#include "expr_lex.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"

bool
lex_is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(s, word, len) == 0;
}

bool
lex_is_one_of(const char *s, size_t len, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lex_is_word(s, len, words[i]))
			return true;
	return false;
}

/* Behind the "]]" of a long bracket that begins at p; NULL when p begins none, end + 1 when it does not end. */
static const char *
long_bracket(const char *p, const char *end)
{
	const char *q;
	size_t level;

	if (p == end || *p != '[')
		return NULL;
	for (q = p + 1; q < end && *q == '='; q++)
		;
	if (q == end || *q != '[')
		return NULL;
	level = (size_t)(q - p) - 1;
	for (q++; q < end; q++) {
		size_t n = 0;

		if (*q != ']')
			continue;
		while (n < level && q + 1 + n < end && q[1 + n] == '=')
			n++;
		if (n == level && q + 1 + n < end && q[1 + n] == ']')
			return q + n + 2;
	}
	return end + 1;
}

/* Behind the closing quote, or NULL. */
static const char *
short_string(const char *p, const char *end)
{
	char quote = *p++;

	for (; p < end && *p != quote; p++) {
		if (*p == '\n')
			return NULL;
		if (*p != '\\' || ++p == end)
			continue;
		if (*p == 'z')
			while (p + 1 < end && isspace((unsigned char)p[1]))
				p++;
	}
	return p < end ? p + 1 : NULL;
}

static const char *
number_end(const char *p, const char *end)
{
	bool hex = p + 1 < end && *p == '0' && (p[1] == 'x' || p[1] == 'X');

	for (; p < end; p++) {
		char low = (char)tolower((unsigned char)*p);

		if ((*p == '+' || *p == '-') && tolower((unsigned char)p[-1]) == (hex ? 'p' : 'e'))
			continue;
		if (!isalnum((unsigned char)low) && low != '.' && low != '_')
			break;
	}
	return p;
}

/* Skip blanks and comments; false when a long comment does not end. */
static bool
skip_blanks(struct lexer *lx)
{
	const char *q;

	for (;;) {
		while (lx->p < lx->end && isspace((unsigned char)*lx->p))
			lx->p++;
		if (lx->end - lx->p < 2 || lx->p[0] != '-' || lx->p[1] != '-')
			return true;
		q = long_bracket(lx->p + 2, lx->end);
		if (q == NULL)
			q = memchr(lx->p, '\n', (size_t)(lx->end - lx->p));
		if (q != NULL && q > lx->end)
			return false;
		lx->p = q != NULL ? q : lx->end;
	}
}

static size_t
op_len(const char *p, const char *end)
{
	static const char *const two[] = { "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>" };

	if (end - p >= 3 && memcmp(p, "...", 3) == 0)
		return 3;
	return end - p >= 2 && lex_is_one_of(p, 2, two, countof(two)) ? 2 : 1;
}

struct token
lex_next(struct lexer *lx)
{
	struct token t = { .kind = T_BAD };
	const char *q;

	if (!skip_blanks(lx)) {
		t.p = lx->p;
		t.len = (size_t)(lx->end - lx->p);
		lx->p = lx->end;
		return t;
	}
	t.p = q = lx->p;
	if (q == lx->end) {
		t.kind = T_END;
	} else if (isalpha((unsigned char)*q) || *q == '_') {
		t.kind = T_NAME;
		while (q < lx->end && (isalnum((unsigned char)*q) || *q == '_'))
			q++;
	} else if (isdigit((unsigned char)*q) || (*q == '.' && q + 1 < lx->end && isdigit((unsigned char)q[1]))) {
		t.kind = T_NUMBER;
		q = number_end(q, lx->end);
	} else if (*q == '"' || *q == '\'') {
		q = short_string(q, lx->end);
		t.kind = q != NULL ? T_STRING : T_BAD;
	} else if ((q = long_bracket(q, lx->end)) != NULL) {
		t.kind = q <= lx->end ? T_STRING : T_BAD;
	} else {
		t.kind = T_OP;
		q = t.p + op_len(t.p, lx->end);
	}
	lx->p = t.kind == T_BAD ? lx->end : q;
	t.len = (size_t)(lx->p - t.p);
	return t;
}

bool
token_is_op(const struct token *t, const char *op)
{
	return t->kind == T_OP && lex_is_word(t->p, t->len, op);
}

bool
token_is_name(const struct token *t, const char *name)
{
	return t->kind == T_NAME && lex_is_word(t->p, t->len, name);
}
