/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of expressions on lists and maps. Lua tables and the plan's own lists and maps are taken alike; results are
 * new Lua tables. */
#include <limits.h>
#include <string.h>

#include "expr_int.h"

/* Push obj[key] of a map or table, else null. */
static void
push_member(lua_State *L, int obj, int key)
{
	const struct value *v = expr_proxy(L, obj);

	if (lua_type(L, obj) != LUA_TTABLE && (v == NULL || v->kind != V_MAP)) {
		lua_pushnil(L);
		return;
	}
	obj = lua_absindex(L, obj);
	lua_pushvalue(L, key);
	(void)lua_gettable(L, obj);
}

/* Is the item on top the wanted one: any, when there is no key at 2; else one whose member key equals that at 3? */
static bool
is_wanted(lua_State *L)
{
	bool ret;

	if (lua_isnoneornil(L, 2))
		return true;
	push_member(L, -1, 2);
	ret = lua_compare(L, -1, 3, LUA_OPEQ);
	lua_pop(L, 1);
	return ret;
}

int
lib_first(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1);

	lua_settop(L, 3);
	for (lua_Integer i = 1; i <= n; i++) {
		(void)lua_geti(L, 1, i);
		if (is_wanted(L))
			return 1;
		lua_pop(L, 1);
	}
	return 0;
}

int
lib_count(lua_State *L)
{
	const struct value *v = expr_proxy(L, 1);
	lua_Integer n, found = 0;

	lua_settop(L, 3);
	if (v != NULL && v->kind == V_MAP && lua_isnil(L, 2)) {
		lua_pushinteger(L, v->len);
		return 1;
	}
	if (lua_type(L, 1) == LUA_TTABLE && lua_isnil(L, 2) && lua_rawlen(L, 1) == 0) {
		expr_push_keys(L, 1);
		lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
		return 1;
	}
	n = expr_check_list(L, 1);
	if (lua_isnil(L, 2))
		found = n;
	for (lua_Integer i = 1; i <= n && !lua_isnil(L, 2); i++) {
		(void)lua_geti(L, 1, i);
		found += is_wanted(L);
		lua_pop(L, 1);
	}
	lua_pushinteger(L, found);
	return 1;
}

int
lib_keys(lua_State *L)
{
	expr_push_keys(L, 1);
	return 1;
}

int
lib_values(lua_State *L)
{
	lua_Integer n;

	lua_settop(L, 1);
	expr_push_keys(L, 1);
	n = (lua_Integer)lua_rawlen(L, 2);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 2, i);
		(void)lua_gettable(L, 1);
		lua_rawseti(L, 2, i);
	}
	return 1;
}

int
lib_has(lua_State *L)
{
	(void)luaL_checkstring(L, 2);
	push_member(L, 1, 2);
	lua_pushboolean(L, !lua_isnil(L, -1));
	return 1;
}

int
lib_contains(lua_State *L)
{
	bool found = false;
	lua_Integer n;
	size_t len, part_len;

	luaL_checkany(L, 2);
	if (lua_type(L, 1) == LUA_TSTRING) {
		const char *s = lua_tolstring(L, 1, &len), *part = luaL_checklstring(L, 2, &part_len);

		expr_spend(L, len / 16);
		lua_pushboolean(L, memmem(s, len, part, part_len) != NULL);
		return 1;
	}
	n = expr_check_list(L, 1);
	for (lua_Integer i = 1; i <= n && !found; i++) {
		(void)lua_geti(L, 1, i);
		found = lua_compare(L, -1, 2, LUA_OPEQ);
		lua_pop(L, 1);
	}
	lua_pushboolean(L, found);
	return 1;
}

int
lib_concat(lua_State *L)
{
	int lists = lua_gettop(L);
	lua_Integer n, at = 0;

	lua_newtable(L);
	for (int arg = 1; arg <= lists; arg++) {
		n = expr_check_list(L, arg);
		for (lua_Integer i = 1; i <= n; i++) {
			(void)lua_geti(L, arg, i);
			lua_rawseti(L, -2, ++at);
		}
	}
	return 1;
}

int
lib_merge(lua_State *L)
{
	int maps = lua_gettop(L);
	const struct value *v;

	lua_newtable(L);
	for (int arg = 1; arg <= maps; arg++) {
		v = expr_proxy(L, arg);
		if (v != NULL && v->kind == V_MAP) {
			expr_spend(L, v->len);
			for (uint32_t i = 0; i < v->len; i++) {
				expr_push(L, &v->pairs[i].v);
				lua_setfield(L, maps + 1, v->pairs[i].key);
			}
			continue;
		}
		luaL_argexpected(L, lua_type(L, arg) == LUA_TTABLE, arg, "map");
		lua_pushnil(L);
		while (lua_next(L, arg)) {
			expr_spend(L, 1);
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, maps + 1);
		}
	}
	return 1;
}

/* Push function(item, i) of the list at 1; leaves the item below when keep. */
static void
call_with_item(lua_State *L, lua_Integer i, bool keep)
{
	(void)lua_geti(L, 1, i);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_pushinteger(L, i);
	lua_call(L, 2, 1);
	if (!keep)
		lua_remove(L, -2);
}

int
lib_map(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_newtable(L);
	for (lua_Integer i = 1; i <= n; i++) {
		call_with_item(L, i, false);
		lua_rawseti(L, 3, i);
	}
	return 1;
}

int
lib_filter(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1), at = 0;
	bool keep;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_newtable(L);
	for (lua_Integer i = 1; i <= n; i++) {
		call_with_item(L, i, true);
		keep = lua_toboolean(L, -1);
		lua_pop(L, 1);
		if (keep)
			lua_rawseti(L, 3, ++at);
		else
			lua_pop(L, 1);
	}
	return 1;
}

int
lib_sort(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1);
	bool less = !lua_isnoneornil(L, 2);

	if (less)
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_createtable(L, n < INT_MAX ? (int)n : INT_MAX, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		(void)lua_geti(L, 1, i);
		lua_rawseti(L, 3, i);
	}
	expr_sort(L, 3, n, less ? 2 : 0);
	return 1;
}

/* Lists and maps are told apart by their JSON, which no string equals: those are looked up as themselves. */
static void
push_identity(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	if (lua_type(L, idx) != LUA_TTABLE && lua_type(L, idx) != LUA_TUSERDATA) {
		lua_pushvalue(L, idx);
		return;
	}
	lua_pushliteral(L, "\0");
	lua_pushcfunction(L, expr_json_encode);
	lua_pushvalue(L, idx);
	lua_call(L, 1, 1);
	lua_concat(L, 2);
}

int
lib_unique(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1), at = 0;
	bool seen;

	lua_settop(L, 1);
	lua_newtable(L); /* 2: identities */
	lua_newtable(L); /* 3: the result */
	for (lua_Integer i = 1; i <= n; i++) {
		if (lua_geti(L, 1, i) == LUA_TNIL) {
			lua_pop(L, 1);
			continue;
		}
		push_identity(L, -1);
		lua_pushvalue(L, -1);
		seen = lua_rawget(L, 2) != LUA_TNIL;
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
		lua_rawset(L, 2);
		if (seen)
			lua_pop(L, 1);
		else
			lua_rawseti(L, 3, ++at);
	}
	return 1;
}

int
lib_range(lua_State *L)
{
	bool one = lua_isnoneornil(L, 2);
	lua_Integer from = one ? 1 : luaL_checkinteger(L, 1), to = luaL_checkinteger(L, one ? 1 : 2), at = 0;
	lua_Integer step = luaL_optinteger(L, 3, 1);

	luaL_argcheck(L, step != 0, 3, "the step is zero");
	lua_newtable(L);
	while (step > 0 ? from <= to : from >= to) {
		expr_spend(L, 1);
		lua_pushinteger(L, from);
		lua_rawseti(L, -2, ++at);
		if (__builtin_add_overflow(from, step, &from))
			break;
	}
	return 1;
}

/* The least (or the greatest) of a list, or of the arguments. */
static int
extreme(lua_State *L, bool greatest)
{
	bool list = lua_type(L, 1) == LUA_TTABLE || lua_type(L, 1) == LUA_TUSERDATA;
	lua_Integer n = list ? expr_check_list(L, 1) : lua_gettop(L);

	if (n == 0)
		return 0;
	lua_pushnil(L);
	for (lua_Integer i = 1; i <= n; i++) {
		if (list)
			(void)lua_geti(L, 1, i);
		else
			lua_pushvalue(L, (int)i);
		expr_spend(L, lua_type(L, -1) == LUA_TSTRING ? lua_rawlen(L, -1) / 16 : 0);
		if (i == 1 || lua_compare(L, greatest ? -2 : -1, greatest ? -1 : -2, LUA_OPLT))
			lua_replace(L, -2);
		else
			lua_pop(L, 1);
	}
	return 1;
}

int
lib_min(lua_State *L)
{
	return extreme(L, false);
}

int
lib_max(lua_State *L)
{
	return extreme(L, true);
}

int
lib_default(lua_State *L)
{
	luaL_checkany(L, 2);
	lua_settop(L, 2);
	if (!lua_isnil(L, 1))
		lua_pop(L, 1);
	return 1;
}

int
lib_type(lua_State *L)
{
	luaL_checkany(L, 1);
	(void)lua_pushstring(L, expr_proxy(L, 1) != NULL ? "table" : luaL_typename(L, 1));
	return 1;
}

int
lib_error(lua_State *L)
{
	return luaL_error(L, "%s", luaL_checkstring(L, 1));
}

/* obj.status.conditions: is the one of this type "True"? */
int
lib_condition(lua_State *L)
{
	lua_Integer n;

	(void)luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_pushliteral(L, "status");
	push_member(L, 1, 3);
	lua_pushliteral(L, "conditions");
	push_member(L, 4, 5);
	lua_pushliteral(L, "type");
	n = lua_isnil(L, 6) ? 0 : expr_check_list(L, 6);
	for (lua_Integer i = 1; i <= n; i++) {
		(void)lua_geti(L, 6, i);
		push_member(L, 8, 7);
		if (lua_compare(L, -1, 2, LUA_OPEQ)) {
			push_member(L, 8, 3);
			lua_pushliteral(L, "True");
			lua_pushboolean(L, lua_rawequal(L, -1, -2));
			return 1;
		}
		lua_settop(L, 7);
	}
	lua_pushboolean(L, 0);
	return 1;
}

int
lib_insert(lua_State *L)
{
	lua_Integer n, at;

	luaL_checktype(L, 1, LUA_TTABLE);
	n = expr_check_list(L, 1);
	luaL_argcheck(L, lua_gettop(L) == 2 || lua_gettop(L) == 3, 2, "a value or a place and a value");
	at = lua_gettop(L) == 2 ? n + 1 : luaL_checkinteger(L, 2);
	luaL_argcheck(L, at >= 1 && at <= n + 1, 2, "the place is outside the list");
	for (lua_Integer i = n; i >= at; i--) {
		(void)lua_geti(L, 1, i);
		lua_seti(L, 1, i + 1);
	}
	lua_seti(L, 1, at);
	return 0;
}

int
lib_unpack(lua_State *L)
{
	lua_Integer n = expr_check_list(L, 1);

	luaL_argcheck(L, n <= 250, 1, "more than 250 items");
	luaL_checkstack(L, (int)n, "too many items");
	for (lua_Integer i = 1; i <= n; i++)
		(void)lua_geti(L, 1, i);
	return (int)n;
}
