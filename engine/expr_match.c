/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the matcher of Lua patterns (manual §6.4.1), written anew because Lua's own backtracks in C, where no instruction
 * count reaches it: here every step is paid for. */
#include "expr_match.h"

#include <ctype.h>
#include <string.h>

#define RECURSION_MAX 200

static const char *match_here(struct matcher *m, const char *s, const char *p);

int
match_malformed(struct matcher *m, const char *what)
{
	return luaL_error(m->L, "malformed pattern (%s)", what);
}

/* Behind the single-character class that begins at p. */
static const char *
class_end(struct matcher *m, const char *p)
{
	const char *from = p;

	if (*p++ == '%') {
		if (p == m->pat_end)
			(void)match_malformed(m, "ends with '%'");
		return p + 1;
	}
	if (*from != '[')
		return p;
	if (p < m->pat_end && *p == '^')
		p++;
	do { /* the first one may be a "]" */
		if (p == m->pat_end)
			(void)match_malformed(m, "missing ']'");
		if (*p++ == '%') {
			if (p == m->pat_end)
				(void)match_malformed(m, "missing ']'");
			p++;
		}
	} while (p == m->pat_end || *p != ']');
	expr_spend(m->L, (uint64_t)(p - from));
	return p + 1;
}

static bool
in_class(int c, int class)
{
	bool in;

	switch (tolower(class)) {
	case 'a': in = isalpha(c); break;
	case 'c': in = iscntrl(c); break;
	case 'd': in = isdigit(c); break;
	case 'g': in = isgraph(c); break;
	case 'l': in = islower(c); break;
	case 'p': in = ispunct(c); break;
	case 's': in = isspace(c); break;
	case 'u': in = isupper(c); break;
	case 'w': in = isalnum(c); break;
	case 'x': in = isxdigit(c); break;
	default: return class == c;
	}
	return isupper(class) ? !in : in;
}

/* p at "[", last at the closing "]". */
static bool
in_set(struct matcher *m, int c, const char *p, const char *last)
{
	bool inside = true;

	expr_spend(m->L, (uint64_t)(last - p));
	if (*++p == '^') {
		inside = false;
		p++;
	}
	for (; p < last; p++) {
		if (*p == '%') {
			if (in_class(c, (unsigned char)*++p))
				return inside;
		} else if (p + 2 < last && p[1] == '-') {
			if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
				return inside;
			p += 2;
		} else if ((unsigned char)*p == c) {
			return inside;
		}
	}
	return !inside;
}

/* Does the character at s match the class [p, ep)? */
static bool
match_one(struct matcher *m, const char *s, const char *p, const char *ep)
{
	int c;

	expr_spend(m->L, 1);
	if (s == m->src_end)
		return false;
	c = (unsigned char)*s;
	switch (*p) {
	case '.':
		return true;
	case '%':
		return in_class(c, (unsigned char)p[1]);
	case '[':
		return in_set(m, c, p, ep - 1);
	default:
		return (unsigned char)*p == c;
	}
}

static const char *
match_balance(struct matcher *m, const char *s, const char *p)
{
	size_t open = 1;

	if (m->pat_end - p < 2)
		(void)match_malformed(m, "%b takes two characters");
	if (s == m->src_end || *s != p[0])
		return NULL;
	while (++s < m->src_end) {
		expr_spend(m->L, 1);
		if (*s == p[1] && --open == 0)
			return s + 1;
		if (*s == p[0] && p[0] != p[1])
			open++;
	}
	return NULL;
}

static const char *
match_most(struct matcher *m, const char *s, const char *p, const char *ep)
{
	const char *end, *from = s;

	while (match_one(m, s, p, ep))
		s++;
	for (; s >= from; s--) {
		end = match_here(m, s, ep + 1);
		if (end != NULL)
			return end;
	}
	return NULL;
}

static const char *
match_least(struct matcher *m, const char *s, const char *p, const char *ep)
{
	const char *end;

	while ((end = match_here(m, s, ep + 1)) == NULL) {
		if (!match_one(m, s, p, ep))
			return NULL;
		s++;
	}
	return end;
}

static const char *
match_open(struct matcher *m, const char *s, const char *p, ptrdiff_t what)
{
	const char *end;

	if (m->ncaptures == CAPTURES_MAX)
		(void)luaL_error(m->L, "more than %d captures", CAPTURES_MAX);
	m->capture[m->ncaptures].at = s;
	m->capture[m->ncaptures++].len = what;
	end = match_here(m, s, p);
	if (end == NULL)
		m->ncaptures--;
	return end;
}

static const char *
match_close(struct matcher *m, const char *s, const char *p)
{
	const char *end;
	int i = m->ncaptures - 1;

	while (i >= 0 && m->capture[i].len != CAP_OPEN)
		i--;
	if (i < 0)
		(void)match_malformed(m, "')' without '('");
	m->capture[i].len = s - m->capture[i].at;
	end = match_here(m, s, p);
	if (end == NULL)
		m->capture[i].len = CAP_OPEN;
	return end;
}

static const char *
match_back(struct matcher *m, const char *s, int digit)
{
	int i = digit - '1';
	size_t len;

	if (i < 0 || i >= m->ncaptures || m->capture[i].len == CAP_OPEN)
		(void)luaL_error(m->L, "invalid capture %%%d in the pattern", i + 1);
	len = m->capture[i].len == CAP_POSITION ? 0 : (size_t)m->capture[i].len;
	expr_spend(m->L, len / 16);
	if ((size_t)(m->src_end - s) < len || memcmp(m->capture[i].at, s, len) != 0)
		return NULL;
	return s + len;
}

static bool
at_frontier(struct matcher *m, const char *s, const char *p, const char *ep)
{
	int before = s == m->src ? 0 : (unsigned char)s[-1], after = s == m->src_end ? 0 : (unsigned char)*s;

	return !in_set(m, before, p, ep - 1) && in_set(m, after, p, ep - 1);
}

/* After "%": b, f and digits move *p on, and *s too or to NULL when they do not match; false: it is a class. */
static bool
match_special(struct matcher *m, const char **s, const char **p)
{
	const char *q = *p + 1, *ep;

	if (q < m->pat_end && *q == 'b') {
		*s = match_balance(m, *s, q + 1);
		*p = q + 3;
	} else if (q < m->pat_end && *q == 'f') {
		q++;
		if (q == m->pat_end || *q != '[')
			(void)match_malformed(m, "missing '[' after '%f'");
		ep = class_end(m, q);
		if (!at_frontier(m, *s, q, ep))
			*s = NULL;
		*p = ep;
	} else if (q < m->pat_end && isdigit((unsigned char)*q)) {
		*s = match_back(m, *s, *q);
		*p = q + 1;
	} else {
		return false;
	}
	return true;
}

/* Where the match of pattern p at s ends, or NULL. Loops over what needs no backtracking, recurses over what does. */
static const char *
match_inner(struct matcher *m, const char *s, const char *p)
{
	const char *ep, *end;
	char repeat;

	while (s != NULL && p < m->pat_end) {
		expr_spend(m->L, 1);
		if (*p == '(')
			return p + 1 < m->pat_end && p[1] == ')' ? match_open(m, s, p + 2, CAP_POSITION) :
								    match_open(m, s, p + 1, CAP_OPEN);
		if (*p == ')')
			return match_close(m, s, p + 1);
		if (*p == '$' && p + 1 == m->pat_end)
			return s == m->src_end ? s : NULL;
		if (*p == '%' && match_special(m, &s, &p))
			continue;
		ep = class_end(m, p);
		repeat = ep < m->pat_end ? *ep : '\0';
		if (repeat == '*')
			return match_most(m, s, p, ep);
		if (repeat == '-')
			return match_least(m, s, p, ep);
		if (repeat == '+')
			return match_one(m, s, p, ep) ? match_most(m, s + 1, p, ep) : NULL;
		if (repeat == '?') {
			if (match_one(m, s, p, ep) && (end = match_here(m, s + 1, ep + 1)) != NULL)
				return end;
			p = ep + 1;
			continue;
		}
		if (!match_one(m, s, p, ep))
			return NULL;
		s++;
		p = ep;
	}
	return s;
}

static const char *
match_here(struct matcher *m, const char *s, const char *p)
{
	const char *end;

	if (++m->recursion > RECURSION_MAX)
		(void)luaL_error(m->L, "the pattern is too complex");
	end = match_inner(m, s, p);
	m->recursion--;
	return end;
}

const char *
match_at(struct matcher *m, const char *s, const char *p)
{
	m->ncaptures = 0;
	m->recursion = 0;
	return match_here(m, s, p);
}
