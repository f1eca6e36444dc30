/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how values are built, looked into, copied, compared and wiped. Two values are equal when their canonical bytes
 * are; an UNKNOWN, or a secret whose content is not at hand, equals nothing, since nobody can tell. */
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value_int.h"

struct value
value_bool(bool b)
{
	return (struct value){ .kind = V_BOOL, .b = b };
}

struct value
value_int(int64_t i)
{
	return (struct value){ .kind = V_INT, .i = i };
}

struct value
value_number(double n)
{
	return (struct value){ .kind = V_NUMBER, .n = n };
}

struct value
value_str(const char *s)
{
	return value_strn(s, strlen(s));
}

struct value
value_strn(const char *s, size_t len)
{
	return (struct value){ .kind = V_STRING, .len = (uint32_t)len, .s = s };
}

struct value
value_unknown(const char *why)
{
	return (struct value){ .kind = V_UNKNOWN, .flags = VF_UNKNOWN, .len = (uint32_t)strlen(why), .s = why };
}

struct value
value_secret(const struct secret *s)
{
	return (struct value){ .kind = V_SECRET, .flags = VF_SECRET, .secret = s };
}

struct value
value_list(const struct value *items, size_t n)
{
	struct value v = { .kind = V_LIST, .len = (uint32_t)n, .items = items };

	for (size_t i = 0; i < n; i++)
		v.flags |= items[i].flags;
	return v;
}

struct value
value_map(const struct pair *pairs, size_t n)
{
	struct value v = { .kind = V_MAP, .len = (uint32_t)n, .pairs = pairs };

	for (size_t i = 0; i < n; i++)
		v.flags |= pairs[i].v.flags;
	return v;
}

struct value
value_map_of(struct arena *a, const struct pair *pairs, size_t n)
{
	struct pair *list = arena_array(a, n, sizeof(*list));
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (pairs[i].v.kind != V_NULL)
			list[kept++] = pairs[i];
	return value_map(list, kept);
}

struct value
value_words(struct arena *a, const char *const *words)
{
	struct value *list;
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	list = arena_array(a, n, sizeof(*list));
	for (size_t i = 0; i < n; i++)
		list[i] = value_str(words[i]);
	return value_list(list, n);
}

const struct value *
value_get(const struct value *v, const char *key)
{
	if (v == NULL || v->kind != V_MAP)
		return NULL;
	for (uint32_t i = 0; i < v->len; i++)
		if (strcmp(v->pairs[i].key, key) == 0)
			return &v->pairs[i].v;
	return NULL;
}

const char *
value_get_str(const struct value *v, const char *key, const char *dflt)
{
	const struct value *m = value_get(v, key);

	return m != NULL && m->kind == V_STRING ? m->s : dflt;
}

int64_t
value_get_int(const struct value *v, const char *key, int64_t dflt)
{
	const struct value *m = value_get(v, key);

	return m != NULL && m->kind == V_INT ? m->i : dflt;
}

static const struct secret *
secret_copy(struct arena *a, const struct secret *from)
{
	struct secret *s = arena_alloc(a, sizeof(*s));

	s->where = arena_strdup(a, from->where);
	s->len = from->len;
	if (from->content != NULL)
		s->content = arena_strndup(a, from->content, from->len);
	return s;
}

struct value
value_copy(struct arena *a, const struct value *v)
{
	struct value ret = *v, *items;
	struct pair *pairs;

	switch (v->kind) {
	case V_STRING:
	case V_UNKNOWN:
		ret.s = arena_strndup(a, v->s, v->len);
		break;
	case V_LIST:
		ret.items = items = arena_array(a, v->len, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = value_copy(a, &v->items[i]);
		break;
	case V_MAP:
		ret.pairs = pairs = arena_array(a, v->len, sizeof(*pairs));
		for (uint32_t i = 0; i < v->len; i++) {
			pairs[i].key = arena_strdup(a, v->pairs[i].key);
			pairs[i].v = value_copy(a, &v->pairs[i].v);
		}
		break;
	case V_SECRET:
		ret.secret = secret_copy(a, v->secret);
		break;
	default:
		break;
	}
	return ret;
}

static bool
secret_eq(const struct secret *a, const struct secret *b)
{
	return a->content != NULL && b->content != NULL && a->len == b->len && memcmp(a->content, b->content, a->len) == 0;
}

static bool
map_eq(const struct value *a, const struct value *b)
{
	struct order oa, ob;
	bool eq = true;

	order_init(&oa, a);
	order_init(&ob, b);
	for (uint32_t i = 0; eq && i < a->len; i++)
		eq = strcmp(oa.p[i]->key, ob.p[i]->key) == 0 && value_eq(&oa.p[i]->v, &ob.p[i]->v);
	order_done(&oa);
	order_done(&ob);
	return eq;
}

bool
value_eq(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case V_NULL:
		return true;
	case V_BOOL:
		return a->b == b->b;
	case V_INT:
		return a->i == b->i;
	case V_NUMBER:
		return memcmp(&a->n, &b->n, sizeof(a->n)) == 0;
	case V_STRING:
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	case V_LIST:
		if (a->len != b->len)
			return false;
		for (uint32_t i = 0; i < a->len; i++)
			if (!value_eq(&a->items[i], &b->items[i]))
				return false;
		return true;
	case V_MAP:
		return a->len == b->len && map_eq(a, b);
	case V_SECRET:
		return secret_eq(a->secret, b->secret);
	default:
		return false;
	}
}

bool
value_true(const struct value *v)
{
	return v->kind != V_NULL && (v->kind != V_BOOL || v->b);
}

const char *
value_kind_text(const struct value *v, char ret[48])
{
	static const char *const text[] = {
		[V_NULL] = "null",       [V_BOOL] = "a boolean", [V_INT] = "an integer",
		[V_NUMBER] = "a number", [V_STRING] = "a string", [V_LIST] = "a list of",
		[V_MAP] = "a map of",    [V_UNKNOWN] = "unknown", [V_SECRET] = "a secret",
	};

	if (v->kind == V_LIST || v->kind == V_MAP)
		(void)snprintf(ret, 48, "%s %u", text[v->kind], v->len);
	else
		(void)snprintf(ret, 48, "%s", text[v->kind]);
	return ret;
}

void
value_wipe(const struct value *v)
{
	if (!(v->flags & VF_SECRET))
		return;
	if (v->kind == V_SECRET && v->secret->content != NULL)
		explicit_bzero(v->secret->content, v->secret->len);
	else if (v->kind == V_LIST)
		for (uint32_t i = 0; i < v->len; i++)
			value_wipe(&v->items[i]);
	else if (v->kind == V_MAP)
		for (uint32_t i = 0; i < v->len; i++)
			value_wipe(&v->pairs[i].v);
}

static int
pair_cmp(const void *a, const void *b)
{
	const struct pair *const *pa = a, *const *pb = b;

	return strcmp((*pa)->key, (*pb)->key);
}

void
pairs_sorted(const struct value *v, const struct pair **ret)
{
	bool sorted = true;

	for (uint32_t i = 0; i < v->len; i++) {
		ret[i] = &v->pairs[i];
		if (i > 0 && strcmp(ret[i - 1]->key, ret[i]->key) > 0)
			sorted = false;
	}
	if (!sorted)
		qsort(ret, v->len, sizeof(*ret), pair_cmp);
}

void
order_init(struct order *o, const struct value *v)
{
	o->p = v->len <= ORDER_INLINE ? o->in : xreallocarray(NULL, v->len, sizeof(*o->p));
	pairs_sorted(v, o->p);
}

void
order_done(struct order *o)
{
	if (o->p != o->in)
		free(o->p);
}
