/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of expressions on text: split, join and the like, JSON, base64 and SHA-256. All are pure; what they make
 * is bounded by the memory cap of the state. */
#include <ctype.h>
#include <string.h>

#include "base/hash.h"
#include "expr_int.h"

int
expr_split(lua_State *L)
{
	size_t len, n;
	const char *s = luaL_checklstring(L, 1, &len), *sep = luaL_checklstring(L, 2, &n), *end = s + len, *at;
	lua_Integer i = 0;

	luaL_argcheck(L, n > 0, 2, "the separator is empty");
	lua_newtable(L);
	if (len == 0)
		return 1;
	for (;;) {
		at = memmem(s, (size_t)(end - s), sep, n);
		expr_spend(L, 1 + (size_t)((at != NULL ? at : end) - s) / 16);
		(void)lua_pushlstring(L, s, (size_t)((at != NULL ? at : end) - s));
		lua_rawseti(L, -2, ++i);
		if (at == NULL)
			return 1;
		s = at + n;
	}
}

int
expr_join(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1);
	size_t len;
	const char *sep = luaL_optlstring(L, 2, "", &len);
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (lua_Integer i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addlstring(&b, sep, len);
		(void)lua_geti(L, 1, i);
		if (!lua_isstring(L, -1))
			return luaL_error(L, "item %d of the list is a %s, which cannot be joined", (int)i, expr_typename(L, -1));
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	return 1;
}

int
expr_trim(lua_State *L)
{
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);

	for (; len > 0 && isspace((unsigned char)s[0]); s++)
		len--;
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		len--;
	(void)lua_pushlstring(L, s, len);
	return 1;
}

int
expr_starts_with(lua_State *L)
{
	size_t len, n;
	const char *s = luaL_checklstring(L, 1, &len), *with = luaL_checklstring(L, 2, &n);

	lua_pushboolean(L, n <= len && memcmp(s, with, n) == 0);
	return 1;
}

int
expr_ends_with(lua_State *L)
{
	size_t len, n;
	const char *s = luaL_checklstring(L, 1, &len), *with = luaL_checklstring(L, 2, &n);

	lua_pushboolean(L, n <= len && memcmp(s + len - n, with, n) == 0);
	return 1;
}

int
expr_replace(lua_State *L)
{
	size_t len, n, by_len;
	const char *s = luaL_checklstring(L, 1, &len), *old = luaL_checklstring(L, 2, &n);
	const char *by = luaL_checklstring(L, 3, &by_len), *end = s + len, *at;
	luaL_Buffer b;

	luaL_argcheck(L, n > 0, 2, "the text to replace is empty");
	luaL_buffinit(L, &b);
	while ((at = memmem(s, (size_t)(end - s), old, n)) != NULL) {
		expr_spend(L, 1 + (size_t)(at - s) / 16);
		luaL_addlstring(&b, s, (size_t)(at - s));
		luaL_addlstring(&b, by, by_len);
		s = at + n;
	}
	luaL_addlstring(&b, s, (size_t)(end - s));
	luaL_pushresult(&b);
	return 1;
}

int
expr_rep(lua_State *L)
{
	size_t len, sep_len;
	const char *s = luaL_checklstring(L, 1, &len);
	lua_Integer n = luaL_checkinteger(L, 2);
	const char *sep = luaL_optlstring(L, 3, "", &sep_len);
	luaL_Buffer b;

	if (n <= 0 || len + sep_len == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if ((lua_Unsigned)n > EXPR_MEMORY / (len + sep_len))
		return luaL_error(L, "the text would be too large");
	expr_spend(L, (uint64_t)n);
	luaL_buffinit(L, &b);
	for (lua_Integer i = 0; i < n; i++) {
		if (i > 0)
			luaL_addlstring(&b, sep, sep_len);
		luaL_addlstring(&b, s, len);
	}
	luaL_pushresult(&b);
	return 1;
}

/* Lua's own format, which caps widths at two digits, without %p: an address differs from run to run. */
int
expr_format(lua_State *L)
{
	const char *p = luaL_checkstring(L, 1);
	int arg = 1, top = lua_gettop(L);

	for (p = strchr(p, '%'); p != NULL; p = strchr(p + 1, '%')) {
		p += 1 + strspn(p + 1, "-+ #0123456789.");
		if (*p == '\0')
			break;
		if (*p == 'p')
			return luaL_error(L, "'%%p' is not for expressions");
		if (*p != '%' && ++arg <= top && *p == 's' && !lua_isstring(L, arg)) {
			lua_pushcfunction(L, expr_tostring);
			lua_pushvalue(L, arg);
			lua_call(L, 1, 1);
			lua_replace(L, arg);
		}
	}
	(void)lua_getfield(L, LUA_REGISTRYINDEX, "string.format");
	lua_insert(L, 1);
	lua_call(L, top, 1);
	return 1;
}

/* As Lua's, but lists and maps are JSON and there are no addresses. */
int
expr_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	switch (lua_type(L, 1)) {
	case LUA_TNIL:
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
	case LUA_TSTRING:
		(void)luaL_tolstring(L, 1, NULL);
		return 1;
	default:
		return expr_json_encode(L);
	}
}

int
expr_json_encode(lua_State *L)
{
	struct expr_host *h = expr_host_of(L);
	struct value v;

	luaL_checkany(L, 1);
	v = expr_pull(L, 1, &h->scratch, true);
	buf_clear(&h->text);
	value_show(&h->text, &v);
	if (h->text.failed)
		return luaL_error(L, "the text would be too large");
	(void)lua_pushlstring(L, h->text.p, h->text.len);
	return 1;
}

int
expr_json_decode(lua_State *L)
{
	struct expr_host *h = expr_host_of(L);
	struct err err = ERR_INIT;
	struct value *v;
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);

	expr_spend(L, len * 2);
	v = arena_alloc(&h->scratch, sizeof(*v));
	if (value_parse_json(&h->scratch, s, len, v, &err) < 0)
		return luaL_error(L, "%s", err.msg);
	expr_push(L, v);
	return 1;
}

int
expr_base64_encode(lua_State *L)
{
	struct buf *text = &expr_host_of(L)->text;
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);

	expr_spend(L, len / 8);
	buf_clear(text);
	base64_encode(text, s, len);
	(void)lua_pushlstring(L, text->len > 0 ? text->p : "", text->len);
	return 1;
}

int
expr_base64_decode(lua_State *L)
{
	struct buf *text = &expr_host_of(L)->text;
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);

	expr_spend(L, len / 8);
	buf_clear(text);
	if (base64_decode(text, s, len) < 0)
		return luaL_error(L, "the text is not base64");
	(void)lua_pushlstring(L, text->len > 0 ? text->p : "", text->len);
	return 1;
}

int
expr_sha256(lua_State *L)
{
	char hex[SHA256_HEX];
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);

	expr_spend(L, len / 8);
	sha256_hex(s, len, hex);
	(void)lua_pushstring(L, hex);
	return 1;
}
