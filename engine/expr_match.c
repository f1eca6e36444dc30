/* SPDX-License-Identifier: Apache-2.0 */
/* Lua patterns (manual §6.4.1) with find, match, gmatch and gsub, written anew because Lua's own matcher backtracks in
 * C, where no instruction count reaches it: here every step is paid for. */
#include <ctype.h>
#include <string.h>

#include "expr_int.h"

#define CAPTURES_MAX 32
#define RECURSION_MAX 200
#define CAP_OPEN (-1)
#define CAP_POSITION (-2)

struct matcher {
	lua_State *L;
	const char *src, *src_end, *pat_end;
	int recursion, ncaptures;
	struct {
		const char *at;
		ptrdiff_t len; /* or CAP_OPEN, CAP_POSITION */
	} capture[CAPTURES_MAX];
};

static const char *match_here(struct matcher *m, const char *s, const char *p);

static int
malformed(struct matcher *m, const char *what)
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
			(void)malformed(m, "ends with '%'");
		return p + 1;
	}
	if (*from != '[')
		return p;
	if (p < m->pat_end && *p == '^')
		p++;
	do { /* the first one may be a "]" */
		if (p == m->pat_end)
			(void)malformed(m, "missing ']'");
		if (*p++ == '%') {
			if (p == m->pat_end)
				(void)malformed(m, "missing ']'");
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
		(void)malformed(m, "%b takes two characters");
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
		(void)malformed(m, "')' without '('");
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
			(void)malformed(m, "missing '[' after '%f'");
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

/* --- captures --- */

/* Capture i of a match [s, e); the whole match stands in for the first when there is none. */
static void
push_capture(struct matcher *m, int i, const char *s, const char *e)
{
	if (i >= m->ncaptures) {
		if (i != 0)
			(void)luaL_error(m->L, "invalid capture index %%%d", i + 1);
		(void)lua_pushlstring(m->L, s, (size_t)(e - s));
	} else if (m->capture[i].len == CAP_POSITION) {
		lua_pushinteger(m->L, m->capture[i].at - m->src + 1);
	} else if (m->capture[i].len == CAP_OPEN) {
		(void)malformed(m, "unfinished capture");
	} else {
		(void)lua_pushlstring(m->L, m->capture[i].at, (size_t)m->capture[i].len);
	}
}

/* s NULL: only real captures. */
static int
push_captures(struct matcher *m, const char *s, const char *e)
{
	int n = m->ncaptures == 0 && s != NULL ? 1 : m->ncaptures;

	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		push_capture(m, i, s, e);
	return n;
}

static struct matcher
matcher(lua_State *L, const char *s, size_t len, const char *p, size_t plen)
{
	return (struct matcher){ .L = L, .src = s, .src_end = s + len, .pat_end = p + plen };
}

static const char *
match_at(struct matcher *m, const char *s, const char *p)
{
	m->ncaptures = 0;
	m->recursion = 0;
	return match_here(m, s, p);
}

/* --- find, match --- */

static bool
has_specials(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0' && strchr("^$*+?.([%-", p[i]) != NULL)
			return true;
	return false;
}

static int
push_range(lua_State *L, const char *s, const char *from, const char *to)
{
	lua_pushinteger(L, from - s + 1);
	lua_pushinteger(L, to - s);
	return 2;
}

static int
find_or_match(lua_State *L, bool find)
{
	size_t len, plen;
	const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen), *at, *end;
	lua_Integer init = luaL_optinteger(L, 3, 1);
	struct matcher m;
	bool anchored;

	if (init < 0)
		init = (lua_Integer)len + init + 1 > 1 ? (lua_Integer)len + init + 1 : 1;
	else if (init == 0)
		init = 1;
	if ((lua_Unsigned)init > len + 1) {
		lua_pushnil(L);
		return 1;
	}
	at = s + init - 1;
	if (find && (lua_toboolean(L, 4) || !has_specials(p, plen))) {
		expr_spend(L, len / 16 + plen);
		at = memmem(at, (size_t)(s + len - at), p, plen);
		if (at != NULL)
			return push_range(L, s, at, at + plen);
		lua_pushnil(L);
		return 1;
	}
	anchored = plen > 0 && *p == '^';
	m = matcher(L, s, len, p, plen);
	do {
		end = match_at(&m, at, p + anchored);
		if (end != NULL && find)
			return push_range(L, s, at, end) + push_captures(&m, NULL, NULL);
		if (end != NULL)
			return push_captures(&m, at, end);
	} while (at++ < m.src_end && !anchored);
	lua_pushnil(L);
	return 1;
}

int
expr_find(lua_State *L)
{
	return find_or_match(L, true);
}

int
expr_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* --- gmatch --- */

/* Upvalues: subject, pattern, offset to go on from, offset where the last match ended (-1: none). */
static int
gmatch_next(lua_State *L)
{
	size_t len, plen;
	const char *s = lua_tolstring(L, lua_upvalueindex(1), &len), *p = lua_tolstring(L, lua_upvalueindex(2), &plen);
	const char *at = s + lua_tointeger(L, lua_upvalueindex(3)), *end;
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct matcher m = matcher(L, s, len, p, plen);

	for (; at <= m.src_end; at++) {
		end = match_at(&m, at, p);
		if (end == NULL || end - s == last)
			continue;
		lua_pushinteger(L, end - s);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(&m, at, end);
	}
	return 0;
}

int
expr_gmatch(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	(void)luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_pushinteger(L, 0);
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

/* --- gsub --- */

/* A replacement text with %0 … %9 and %%. */
static void
add_text(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
	size_t len;
	const char *r = lua_tolstring(m->L, 3, &len), *end = r + len;

	expr_spend(m->L, len);
	for (; r < end; r++) {
		if (*r != '%') {
			luaL_addchar(b, *r);
			continue;
		}
		r++;
		if (r < end && *r == '%') {
			luaL_addchar(b, '%');
		} else if (r < end && *r == '0') {
			luaL_addlstring(b, s, (size_t)(e - s));
		} else if (r < end && isdigit((unsigned char)*r)) {
			push_capture(m, *r - '1', s, e);
			(void)luaL_tolstring(m->L, -1, NULL);
			lua_remove(m->L, -2);
			luaL_addvalue(b);
		} else {
			(void)luaL_error(m->L, "invalid use of '%%' in the replacement");
		}
	}
}

/* Append what replaces the match [s, e): by text, by function or by table. */
static void
add_value(struct matcher *m, luaL_Buffer *b, const char *s, const char *e)
{
	lua_State *L = m->L;
	int n;

	if (lua_type(L, 3) == LUA_TSTRING || lua_type(L, 3) == LUA_TNUMBER) {
		add_text(m, b, s, e);
		return;
	}
	if (lua_type(L, 3) == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		n = push_captures(m, s, e);
		lua_call(L, n, 1);
	} else {
		push_capture(m, 0, s, e);
		(void)lua_gettable(L, 3);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, s, (size_t)(e - s));
		return;
	}
	if (!lua_isstring(L, -1))
		(void)luaL_error(L, "a match cannot be replaced by a %s", expr_typename(L, -1));
	luaL_addvalue(b);
}

int
expr_gsub(lua_State *L)
{
	size_t len, plen;
	const char *s = luaL_checklstring(L, 1, &len), *p = luaL_checklstring(L, 2, &plen), *end, *last = NULL;
	lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)len + 1), n = 0;
	bool anchored = plen > 0 && *p == '^';
	struct matcher m = matcher(L, s, len, p, plen);
	int type = lua_type(L, 3);
	luaL_Buffer b;

	luaL_argexpected(L, type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TFUNCTION || type == LUA_TTABLE ||
			    expr_proxy(L, 3) != NULL, 3, "string, function or map");
	if (type == LUA_TNUMBER)
		(void)lua_tostring(L, 3);
	luaL_buffinit(L, &b);
	while (n < max) {
		end = match_at(&m, s, p + anchored);
		if (end != NULL && end != last) {
			n++;
			add_value(&m, &b, s, end);
			s = last = end;
		} else if (s < m.src_end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchored)
			break;
	}
	luaL_addlstring(&b, s, (size_t)(m.src_end - s));
	luaL_pushresult(&b);
	lua_pushinteger(L, n);
	return 2;
}
