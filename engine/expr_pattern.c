/* SPDX-License-Identifier: Apache-2.0 */
/* find, match, gmatch and gsub over our own matcher. */
#include <ctype.h>
#include <string.h>

#include "expr_match.h"

static struct matcher
matcher(lua_State *L, const char *s, size_t len, const char *p, size_t plen)
{
	return (struct matcher){ .L = L, .src = s, .src_end = s + len, .pat_end = p + plen };
}

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
		(void)match_malformed(m, "unfinished capture");
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
