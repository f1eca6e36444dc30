/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how values go into Lua: lists and maps as lazy read-only proxies, iterated in the order of their keys. The two
 * laws of touching begin here: reading an UNKNOWN ends the evaluation, reading a secret marks it. */

#include "expr_int.h"
#include "value_int.h"

int
expr_touch_unknown(lua_State *L, const char *why)
{
	expr_host_of(L)->unknown = why;
	lua_pushliteral(L, "");
	return lua_error(L);
}

void
expr_touch_secret(lua_State *L, const struct secret *s)
{
	struct expr_host *h = expr_host_of(L);
	struct touched *one;

	if (s->content == NULL)
		(void)luaL_error(L, "the content of the secret '%s' is not at hand", s->where);
	for (const struct touched *t = h->touched; t != NULL; t = t->next)
		if (t->secret == s)
			return;
	if (h->secret == NULL)
		h->secret = s;
	h->wipe = true;
	one = arena_alloc(&h->scratch, sizeof(*one));
	*one = (struct touched){ .secret = s, .next = h->touched };
	h->touched = one;
}

void
expr_push(lua_State *L, const struct value *v)
{
	switch (v->kind) {
	case V_NULL:
		lua_pushnil(L);
		break;
	case V_BOOL:
		lua_pushboolean(L, v->b);
		break;
	case V_INT:
		lua_pushinteger(L, v->i);
		break;
	case V_NUMBER:
		lua_pushnumber(L, v->n);
		break;
	case V_STRING:
		(void)lua_pushlstring(L, v->s, v->len);
		break;
	case V_LIST:
	case V_MAP:
		*(const struct value **)lua_newuserdatauv(L, sizeof(v), 0) = v;
		luaL_setmetatable(L, v->kind == V_LIST ? "list" : "map");
		break;
	case V_UNKNOWN:
		(void)expr_touch_unknown(L, v->s);
		break;
	case V_SECRET:
		expr_touch_secret(L, v->secret);
		(void)lua_pushlstring(L, v->secret->content, v->secret->len);
		break;
	}
}

const struct value *
expr_proxy(lua_State *L, int idx)
{
	const struct value **p = luaL_testudata(L, idx, "map");

	if (p == NULL)
		p = luaL_testudata(L, idx, "list");
	return p != NULL ? *p : NULL;
}

const char *
expr_typename(lua_State *L, int idx)
{
	const struct value *v = expr_proxy(L, idx);

	if (v != NULL)
		return v->kind == V_LIST ? "list" : "map";
	return lua_isnil(L, idx) ? "null" : luaL_typename(L, idx);
}

/* --- proxies --- */

static int
list_index(lua_State *L)
{
	const struct value *v = *(const struct value **)luaL_checkudata(L, 1, "list");
	lua_Integer i;
	int is_int;

	i = lua_tointegerx(L, 2, &is_int);
	if (!is_int || lua_type(L, 2) != LUA_TNUMBER)
		return luaL_error(L, "a list is read by number, not by %s", expr_typename(L, 2));
	if (i < 1 || i > v->len)
		return 0;
	expr_push(L, &v->items[i - 1]);
	return 1;
}

static int
map_index(lua_State *L)
{
	const struct value *v = *(const struct value **)luaL_checkudata(L, 1, "map"), *member;

	expr_spend(L, v->len / 16);
	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	member = value_get(v, lua_tostring(L, 2));
	if (member == NULL)
		return 0;
	expr_push(L, member);
	return 1;
}

static int
proxy_len(lua_State *L)
{
	lua_pushinteger(L, expr_proxy(L, 1)->len);
	return 1;
}

/* Pay for looking at all of a tree, and touch what is in it. */
static void
touch_all(lua_State *L, const struct value *v)
{
	expr_spend(L, 1 + v->len / 64);
	if (v->kind == V_UNKNOWN)
		(void)expr_touch_unknown(L, v->s);
	else if (v->kind == V_SECRET)
		expr_touch_secret(L, v->secret);
	else if (v->kind == V_LIST)
		for (uint32_t i = 0; i < v->len; i++)
			touch_all(L, &v->items[i]);
	else if (v->kind == V_MAP)
		for (uint32_t i = 0; i < v->len; i++)
			touch_all(L, &v->pairs[i].v);
}

/* Lua calls it for two userdata of any kind. */
static int
proxy_eq(lua_State *L)
{
	const struct value *a = expr_proxy(L, 1), *b = expr_proxy(L, 2);

	if (a == NULL || b == NULL)
		return luaL_error(L, "only values can be compared");
	touch_all(L, a);
	touch_all(L, b);
	lua_pushboolean(L, value_eq(a, b));
	return 1;
}

static int
proxy_newindex(lua_State *L)
{
	return luaL_error(L, "a %s of the plan is read-only", expr_typename(L, 1));
}

void
expr_value_open(lua_State *L)
{
	static const luaL_Reg common[] = {
		{ "__len", proxy_len },           { "__eq", proxy_eq },         { "__pairs", expr_pairs },
		{ "__newindex", proxy_newindex }, { "__tostring", expr_json_encode }, { NULL, NULL },
	};

	(void)luaL_newmetatable(L, "list");
	luaL_setfuncs(L, common, 0);
	lua_pushcfunction(L, list_index);
	lua_setfield(L, -2, "__index");
	(void)luaL_newmetatable(L, "map");
	luaL_setfuncs(L, common, 0);
	lua_pushcfunction(L, map_index);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 2);
}

/* --- iteration, in the order of keys --- */

lua_Integer
expr_check_list(lua_State *L, int arg)
{
	const struct value *v = expr_proxy(L, arg);
	lua_Integer n;

	if (v == NULL && lua_type(L, arg) == LUA_TTABLE)
		n = (lua_Integer)lua_rawlen(L, arg);
	else if (v != NULL && v->kind == V_LIST)
		n = v->len;
	else
		return luaL_argerror(L, arg, lua_pushfstring(L, "a list is expected, not %s", expr_typename(L, arg)));
	expr_spend(L, (uint64_t)n);
	return n;
}

void
expr_push_keys(lua_State *L, int idx)
{
	const struct value *v = expr_proxy(L, idx);
	const struct pair **sorted;
	lua_Integer n = 0;

	idx = lua_absindex(L, idx);
	if (v != NULL && v->kind == V_MAP) {
		expr_spend(L, v->len * UINT64_C(2));
		sorted = arena_array(&expr_host_of(L)->scratch, v->len, sizeof(*sorted));
		pairs_sorted(v, sorted);
		lua_createtable(L, (int)(v->len < INT32_MAX ? v->len : INT32_MAX), 0);
		for (uint32_t i = 0; i < v->len; i++) {
			(void)lua_pushstring(L, sorted[i]->key);
			lua_rawseti(L, -2, ++n);
		}
		return;
	}
	luaL_argexpected(L, lua_type(L, idx) == LUA_TTABLE, idx, "map");
	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		expr_spend(L, 1);
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, ++n);
	}
	expr_sort(L, lua_gettop(L), n, 0);
}

/* Upvalues: the object, its keys (nil for a list: 1, 2, …), the number of the last key. */
static int
next_pair(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;

	lua_pushinteger(L, i);
	lua_copy(L, -1, lua_upvalueindex(3));
	if (lua_isnil(L, lua_upvalueindex(2))) {
		if (i > expr_proxy(L, lua_upvalueindex(1))->len)
			return 0;
	} else if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL) {
		return 0;
	}
	lua_pushvalue(L, -1);
	(void)lua_gettable(L, lua_upvalueindex(1));
	return 2;
}

int
expr_pairs(lua_State *L)
{
	const struct value *v = expr_proxy(L, 1);

	lua_settop(L, 1);
	if (v != NULL && v->kind == V_LIST)
		lua_pushnil(L);
	else
		expr_push_keys(L, 1);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, next_pair, 3);
	return 1;
}

/* Numbers before strings, each in its own order: keys of one table may be both. */
static bool
is_less(lua_State *L, int a, int b, int less)
{
	bool ret;

	a = lua_absindex(L, a);
	b = lua_absindex(L, b);
	expr_spend(L, 1);
	if (less != 0) {
		lua_pushvalue(L, less);
		lua_pushvalue(L, a);
		lua_pushvalue(L, b);
		lua_call(L, 2, 1);
		ret = lua_toboolean(L, -1);
		lua_pop(L, 1);
		return ret;
	}
	if (lua_type(L, a) == LUA_TSTRING && lua_type(L, b) == LUA_TSTRING)
		expr_spend(L, (lua_rawlen(L, a) + lua_rawlen(L, b)) / 64);
	else if (lua_type(L, a) != lua_type(L, b) && !lua_isnil(L, a) && !lua_isnil(L, b))
		return lua_type(L, a) < lua_type(L, b);
	return lua_compare(L, a, b, LUA_OPLT);
}

/* Merge items [from, mid) and [mid, to) of the list at `src` into that at `dst`. */
static void
merge_runs(lua_State *L, int src, int dst, lua_Integer from, lua_Integer mid, lua_Integer to, int less)
{
	lua_Integer i = from, j = mid;

	for (lua_Integer k = from; k < to; k++) {
		bool second = i == mid;

		if (i < mid && j < to) {
			lua_rawgeti(L, src, i);
			lua_rawgeti(L, src, j);
			second = is_less(L, -1, -2, less);
			lua_pop(L, 2);
		}
		lua_rawgeti(L, src, second ? j++ : i++);
		lua_rawseti(L, dst, k);
	}
}

/* A merge sort: stable, n log n whatever `less` answers. */
void
expr_sort(lua_State *L, int idx, lua_Integer n, int less)
{
	int src = idx, dst, spare;

	lua_createtable(L, (int)n, 0);
	spare = dst = lua_gettop(L);
	for (lua_Integer width = 1; width < n; width *= 2) {
		for (lua_Integer from = 1; from <= n; from += 2 * width) {
			lua_Integer mid = from + width <= n ? from + width : n + 1;
			lua_Integer to = mid + width <= n ? mid + width : n + 1;

			merge_runs(L, src, dst, from, mid, to, less);
		}
		src = dst;
		dst = src == idx ? spare : idx;
	}
	for (lua_Integer i = 1; src != idx && i <= n; i++) {
		lua_rawgeti(L, src, i);
		lua_rawseti(L, idx, i);
	}
	lua_settop(L, spare - 1);
}
