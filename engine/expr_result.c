/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how results come out of Lua as values: depth and size are paid for, and after a secret was touched no string
 * and no number leaves as anything but a secret. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "expr_int.h"

struct pull {
	lua_State *L;
	struct arena *a;
	bool touch;
	const struct secret *secret; /* what strings and numbers become, or NULL */
};

static void
pull_deeper(struct pull *p, unsigned depth)
{
	expr_spend(p->L, 16);
	if (depth > VALUE_MAX_DEPTH)
		(void)luaL_error(p->L, "the result is nested more than %d deep", VALUE_MAX_DEPTH);
}

static struct value
pull_string(struct pull *p, const char *s, size_t len)
{
	struct secret *secret;

	expr_spend(p->L, len / 8);
	if (p->secret == NULL)
		return value_strn(arena_strndup(p->a, s, len), len);
	secret = arena_alloc(p->a, sizeof(*secret));
	secret->where = arena_strdup(p->a, p->secret->where);
	secret->content = arena_strndup(p->a, s, len);
	secret->len = len;
	return value_secret(secret);
}

static struct value
pull_number(struct pull *p, struct value v)
{
	struct buf *text = &expr_host_of(p->L)->text;

	if (v.kind == V_NUMBER && !isfinite(v.n))
		(void)luaL_error(p->L, "the result is not a finite number");
	if (p->secret == NULL)
		return v;
	buf_clear(text);
	value_write(text, &v);
	return pull_string(p, text->p, text->len);
}

static struct value pull_value(struct pull *p, const struct value *v, unsigned depth);

static struct value
pull_value_list(struct pull *p, const struct value *v, unsigned depth)
{
	struct value *items = arena_array(p->a, v->len, sizeof(*items));

	for (uint32_t i = 0; i < v->len; i++)
		items[i] = pull_value(p, &v->items[i], depth + 1);
	return value_list(items, v->len);
}

static struct value
pull_value_map(struct pull *p, const struct value *v, unsigned depth)
{
	struct pair *pairs = arena_array(p->a, v->len, sizeof(*pairs));

	for (uint32_t i = 0; i < v->len; i++) {
		pairs[i].key = arena_strdup(p->a, v->pairs[i].key);
		pairs[i].v = pull_value(p, &v->pairs[i].v, depth + 1);
	}
	return value_map(pairs, v->len);
}

static struct value
pull_value(struct pull *p, const struct value *v, unsigned depth)
{
	switch (v->kind) {
	case V_INT:
	case V_NUMBER:
		return pull_number(p, *v);
	case V_STRING:
		return pull_string(p, v->s, v->len);
	case V_LIST:
		pull_deeper(p, depth + 1);
		return pull_value_list(p, v, depth);
	case V_MAP:
		pull_deeper(p, depth + 1);
		return pull_value_map(p, v, depth);
	case V_UNKNOWN:
		if (p->touch)
			(void)expr_touch_unknown(p->L, v->s);
		return value_copy(p->a, v);
	case V_SECRET:
		if (!p->touch)
			return value_copy(p->a, v);
		expr_touch_secret(p->L, v->secret);
		return pull_string(p, v->secret->content, v->secret->len);
	default:
		return *v;
	}
}

static struct value pull_lua(struct pull *p, int idx, unsigned depth);

static void
mixed_keys(lua_State *L)
{
	(void)luaL_error(L, "a table in the result has keys that are neither 1, 2, … nor all strings");
}

static struct value
pull_sequence(struct pull *p, int idx, uint32_t n, unsigned depth)
{
	struct value *items = arena_array(p->a, n, sizeof(*items));

	for (uint32_t i = 0; i < n; i++) {
		if (lua_rawgeti(p->L, idx, (lua_Integer)i + 1) == LUA_TNIL)
			mixed_keys(p->L);
		items[i] = pull_lua(p, -1, depth);
		lua_pop(p->L, 1);
	}
	return value_list(items, n);
}

static int
pair_order(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* Keys are always shown, so none may be (or, past a few bytes, hold) the content of a secret. */
static bool
tells_secret(const struct expr_host *h, const char *key, size_t len)
{
	for (const struct touched *t = h->touched; t != NULL; t = t->next) {
		const struct secret *s = t->secret;

		if (s->len == len ? memcmp(key, s->content, len) == 0 :
				    s->len >= 4 && memmem(key, len, s->content, s->len) != NULL)
			return true;
	}
	return false;
}

static struct value
pull_map(struct pull *p, int idx, uint32_t n, unsigned depth)
{
	struct pair *pairs = arena_array(p->a, n, sizeof(*pairs));
	lua_State *L = p->L;
	size_t len, i = 0;
	const char *key;

	lua_pushnil(L);
	while (lua_next(L, idx)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			mixed_keys(L);
		key = lua_tolstring(L, -2, &len);
		if (memchr(key, '\0', len) != NULL)
			(void)luaL_error(L, "a key in the result holds a NUL character");
		if (!p->touch && tells_secret(expr_host_of(L), key, len))
			(void)luaL_error(L, "a key in the result holds a secret");
		expr_spend(L, len / 8);
		pairs[i].key = arena_strndup(p->a, key, len);
		pairs[i++].v = pull_lua(p, -1, depth);
		lua_pop(L, 1);
	}
	qsort(pairs, n, sizeof(*pairs), pair_order);
	return value_map(pairs, n);
}

static struct value
pull_table(struct pull *p, int idx, unsigned depth)
{
	lua_State *L = p->L;
	uint32_t n = 0;

	pull_deeper(p, depth);
	idx = lua_absindex(L, idx);
	luaL_checkstack(L, 8, "the result is nested too deeply");
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		expr_spend(L, 2);
		lua_pop(L, 1);
		n++;
	}
	/* With n members, none of 1 … n nil, there is room for no other key. */
	if (lua_rawlen(L, idx) == n)
		return pull_sequence(p, idx, n, depth);
	return pull_map(p, idx, n, depth);
}

static struct value
pull_lua(struct pull *p, int idx, unsigned depth)
{
	lua_State *L = p->L;
	const struct value *v;
	const char *s;
	size_t len;

	switch (lua_type(L, idx)) {
	case LUA_TNIL:
		return VALUE_NULL;
	case LUA_TBOOLEAN:
		return value_bool(lua_toboolean(L, idx));
	case LUA_TNUMBER:
		return pull_number(p, lua_isinteger(L, idx) ? value_int(lua_tointeger(L, idx)) :
							      value_number(lua_tonumber(L, idx)));
	case LUA_TSTRING:
		s = lua_tolstring(L, idx, &len);
		return pull_string(p, s, len);
	case LUA_TTABLE:
		return pull_table(p, idx, depth + 1);
	default:
		v = expr_proxy(L, idx);
		if (v == NULL)
			(void)luaL_error(L, "the result is or holds a %s, which is no value", luaL_typename(L, idx));
		return pull_value(p, v, depth);
	}
}

struct value
expr_pull(lua_State *L, int idx, struct arena *a, bool touch)
{
	struct pull p = { .L = L, .a = a, .touch = touch, .secret = touch ? NULL : expr_host_of(L)->secret };

	return pull_lua(&p, idx, 0);
}
