/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what managedFields tell: the types of lists and maps, and whose a field is. With it an object is compared with what
 * is wanted of it, and server-side apply is foretold where the server cannot be asked. */
#include "steps/target/kube_fields.h"

#include <string.h>

#include "steps/target/kube_patch.h"

static bool
is_map(const struct value *v)
{
	return v != NULL && v->kind == V_MAP;
}

/* ---- how an object is built ---- */

static struct value types_of(struct arena *a, const struct value *fields);

/* Two trees in one; "keys" is the same in both. */
static struct value
join_types(struct arena *a, const struct value *x, const struct value *y)
{
	struct value joined, ret = *x;
	const struct value *has;

	for (uint32_t i = 0; y->kind == V_MAP && i < y->len; i++) {
		has = value_get(&ret, y->pairs[i].key);
		joined = has != NULL && has->kind == V_MAP ? join_types(a, has, &y->pairs[i].v) : y->pairs[i].v;
		ret = kube_set(a, &ret, y->pairs[i].key, &joined);
	}
	return ret;
}

/* The node of an item of a keyed list, with the names of its keys. */
static struct value
keyed_item(struct arena *a, const char *key, const struct value *fields)
{
	struct value node = types_of(a, fields), id, keys;
	struct err ignored = ERR_INIT;
	struct value *names;

	if (value_parse_json(a, key, strlen(key), &id, &ignored) < 0 || id.kind != V_MAP)
		return node;
	names = arena_array(a, (size_t)id.len + 1, sizeof(*names));
	for (uint32_t i = 0; i < id.len; i++)
		names[i] = value_str(id.pairs[i].key);
	keys = value_list(names, id.len);
	return kube_set(a, &node, "keys", &keys);
}

static struct value
types_of(struct arena *a, const struct value *fields)
{
	struct pair *pairs = arena_array(a, (size_t)fields->len + 2, sizeof(*pairs));
	struct value item = value_map(NULL, 0), one;
	bool keyed = false, set = false;
	size_t n = 0;

	for (uint32_t i = 0; fields->kind == V_MAP && i < fields->len; i++) {
		const struct pair *p = &fields->pairs[i];

		if (strncmp(p->key, "k:", 2) == 0) {
			one = keyed_item(a, p->key + 2, &p->v);
			item = keyed ? join_types(a, &item, &one) : one;
			keyed = true;
		} else if (strncmp(p->key, "v:", 2) == 0) {
			set = true;
		} else {
			pairs[n++] = (struct pair){ p->key, types_of(a, &p->v) };
		}
	}
	if (keyed)
		pairs[n++] = (struct pair){ "k:", item };
	if (set)
		pairs[n++] = (struct pair){ "v:", value_map(NULL, 0) };
	return value_map(pairs, n);
}

struct value
kube_types(struct arena *a, const struct value *object)
{
	const struct value *managers = kube_meta(object, "managedFields"), *fields;
	struct value ret = VALUE_NULL, one;

	for (uint32_t i = 0; managers != NULL && managers->kind == V_LIST && i < managers->len; i++) {
		fields = value_get(&managers->items[i], "fieldsV1");
		if (!is_map(fields))
			continue;
		one = types_of(a, fields);
		ret = ret.kind == V_NULL ? one : join_types(a, &ret, &one);
	}
	return ret;
}

/* The types of a member: NULL where nothing is known. */
static const struct value *
type_of(const struct value *types, const char *key)
{
	for (uint32_t i = 0; is_map(types) && i < types->len; i++)
		if (strncmp(types->pairs[i].key, "f:", 2) == 0 && strcmp(types->pairs[i].key + 2, key) == 0)
			return &types->pairs[i].v;
	return NULL;
}

/* One thing for the server, which is set as a whole. */
static bool
is_atomic(const struct value *types)
{
	return is_map(types) && types->len == 0;
}

static const struct value *
keyed_type(const struct value *types)
{
	return is_map(types) ? value_get(types, "k:") : NULL;
}

/* ---- is it so already ---- */

static bool
same_leaf(const struct value *want, const struct value *have)
{
	if (want->kind != V_SECRET || have->kind != V_STRING)
		return value_eq(want, have);
	return want->secret->content != NULL && want->secret->len == have->len && memcmp(want->secret->content, have->s, have->len) == 0;
}

/* Is the item the one that is wanted? A key that is not written has a default there. */
static bool
same_item(const struct value *want, const struct value *have, const struct value *keys)
{
	bool any = false;

	for (uint32_t i = 0; keys != NULL && i < keys->len; i++) {
		const struct value *w = value_get(want, keys->items[i].s), *h = value_get(have, keys->items[i].s);

		if (w != NULL && w->kind != V_NULL && (h == NULL || !same_leaf(w, h)))
			return false;
		any = any || w != NULL;
	}
	return any;
}

static const struct value *
find_item(const struct value *list, const struct value *want, const struct value *type)
{
	const struct value *keys = type != NULL ? value_get(type, "keys") : NULL;

	for (uint32_t i = 0; i < list->len; i++)
		if (type != NULL ? same_item(want, &list->items[i], keys) : same_leaf(want, &list->items[i]))
			return &list->items[i];
	return NULL;
}

static bool
has_list(const struct value *want, const struct value *have, const struct value *types)
{
	const struct value *keyed = keyed_type(types), *item;
	const bool set = is_map(types) && value_get(types, "v:") != NULL;

	if (have->kind != V_LIST || (keyed == NULL && !set && want->len != have->len))
		return false;
	for (uint32_t i = 0; i < want->len; i++) {
		item = keyed != NULL || set ? find_item(have, &want->items[i], keyed) : &have->items[i];
		if (item == NULL || !kube_has(&want->items[i], item, keyed))
			return false;
	}
	return true;
}

bool
kube_has(const struct value *want, const struct value *have, const struct value *types)
{
	const struct value *v;
	uint32_t hint = 0;

	if (want->kind == V_LIST)
		return has_list(want, have, types);
	if (want->kind != V_MAP)
		return same_leaf(want, have);
	if (have->kind != V_MAP || (is_atomic(types) && want->len != have->len))
		return false;
	for (uint32_t i = 0; i < want->len; i++) {
		if (want->pairs[i].v.kind == V_NULL)
			continue;
		v = kube_member(have, want->pairs[i].key, &hint);
		if (v == NULL || !kube_has(&want->pairs[i].v, v, type_of(types, want->pairs[i].key)))
			return false;
	}
	return true;
}

/* ---- whose it is ---- */

bool
kube_managed_by(const struct value *object, const char *manager)
{
	const struct value *managers = kube_meta(object, "managedFields");

	for (uint32_t i = 0; managers != NULL && managers->kind == V_LIST && i < managers->len; i++)
		if (strcmp(value_get_str(&managers->items[i], "manager", ""), manager) == 0)
			return true;
	return false;
}

const struct value *
kube_applied(const struct value *object, const char *sub)
{
	const struct value *managers = kube_meta(object, "managedFields"), *m, *fields;

	for (uint32_t i = 0; managers != NULL && managers->kind == V_LIST && i < managers->len; i++) {
		m = &managers->items[i];
		if (strcmp(value_get_str(m, "manager", ""), KUBE_MANAGER) == 0 &&
		    strcmp(value_get_str(m, "operation", ""), "Apply") == 0 &&
		    strcmp(value_get_str(m, "subresource", ""), sub != NULL ? sub : "") == 0) {
			fields = value_get(m, "fieldsV1");
			return is_map(fields) ? fields : NULL;
		}
	}
	return NULL;
}

/* The part of `want` that a member of fieldsV1 is about, or NULL. */
static const struct value *
wanted_at(struct arena *a, const struct value *want, const char *field)
{
	struct err ignored = ERR_INIT;
	struct value id;
	bool all;

	if (strncmp(field, "f:", 2) == 0)
		return value_get(want, field + 2);
	if (want->kind != V_LIST || value_parse_json(a, field + 2, strlen(field + 2), &id, &ignored) < 0)
		return NULL;
	for (uint32_t i = 0; i < want->len; i++) {
		if (field[0] == 'v' && same_leaf(&want->items[i], &id))
			return &want->items[i];
		all = field[0] == 'k' && id.kind == V_MAP && want->items[i].kind == V_MAP;
		for (uint32_t k = 0; all && k < id.len; k++) {
			const struct value *v = value_get(&want->items[i], id.pairs[k].key);

			all = v == NULL || same_leaf(v, &id.pairs[k].v);
		}
		if (all)
			return &want->items[i];
	}
	return NULL;
}

static bool
owns_more(struct arena *a, const struct value *fields, const struct value *want)
{
	for (uint32_t i = 0; fields->kind == V_MAP && i < fields->len; i++) {
		const char *key = fields->pairs[i].key;
		const struct value *v;

		if (strncmp(key, "f:", 2) != 0 && strncmp(key, "k:", 2) != 0 && strncmp(key, "v:", 2) != 0)
			continue;
		v = wanted_at(a, want, key);
		if (v == NULL || v->kind == V_NULL || owns_more(a, &fields->pairs[i].v, v))
			return true;
	}
	return false;
}

bool
kube_drops(struct arena *a, const struct value *object, const struct value *want, const char *sub)
{
	const struct value *fields = kube_applied(object, sub);

	return fields != NULL && owns_more(a, fields, want);
}

/* ---- what would be ---- */

/* The names that lists of the API go by, for those that no manager has told about. */
static struct value
likely_keys(struct arena *a, const struct value *list)
{
	static const char *const names[] = { "name", "mountPath", "containerPort", "port", "ip", "type", "key" };
	struct value *key = arena_alloc(a, sizeof(*key));
	struct pair *pair = arena_alloc(a, sizeof(*pair));
	bool all;

	for (size_t n = 0; n < countof(names); n++) {
		all = list->len > 0;
		for (uint32_t i = 0; all && i < list->len; i++)
			all = value_get(&list->items[i], names[n]) != NULL;
		if (!all)
			continue;
		*key = value_str(names[n]);
		*pair = (struct pair){ "keys", value_list(key, 1) };
		return value_map(pair, 1);
	}
	return VALUE_NULL;
}

static struct value
merge_list(struct arena *a, const struct value *have, const struct value *want, const struct value *types)
{
	struct value *items = arena_array(a, (size_t)have->len + want->len + 1, sizeof(*items));
	struct value guess = types == NULL ? likely_keys(a, want) : VALUE_NULL;
	const struct value *keyed = guess.kind == V_MAP ? &guess : keyed_type(types), *item;
	const bool set = is_map(types) && value_get(types, "v:") != NULL;
	size_t n = have->len;

	if (keyed == NULL && !set)
		return *want;
	if (n > 0)
		memcpy(items, have->items, n * sizeof(*items));
	for (uint32_t i = 0; i < want->len; i++) {
		item = find_item(have, &want->items[i], keyed);
		if (item == NULL)
			items[n++] = want->items[i];
		else
			items[item - have->items] = kube_apply_merge(a, item, &want->items[i], keyed);
	}
	return value_list(items, n);
}

struct value
kube_apply_merge(struct arena *a, const struct value *object, const struct value *want, const struct value *types)
{
	struct pair *pairs;
	const struct value *v;
	uint32_t hint = 0;
	size_t n = 0;

	if (want->kind == V_LIST && object->kind == V_LIST)
		return merge_list(a, object, want, types);
	if (want->kind != V_MAP)
		return *want;
	if (object->kind != V_MAP || is_atomic(types))
		return kube_merge_patch(a, NULL, want); /* without what is null */
	pairs = arena_array(a, (size_t)object->len + want->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < object->len; i++) {
		v = kube_member(want, object->pairs[i].key, &hint);
		pairs[n++] = v == NULL || v->kind == V_NULL ? object->pairs[i]
			: (struct pair){ object->pairs[i].key, kube_apply_merge(a, &object->pairs[i].v, v,
										type_of(types, object->pairs[i].key)) };
	}
	hint = 0;
	for (uint32_t i = 0; i < want->len; i++)
		if (want->pairs[i].v.kind != V_NULL && kube_member(object, want->pairs[i].key, &hint) == NULL)
			pairs[n++] = (struct pair){ want->pairs[i].key, kube_merge_patch(a, NULL, &want->pairs[i].v) };
	return value_map(pairs, n);
}

/* Of a patch only what it takes out. */
static struct value
nulls_of(struct arena *a, const struct value *patch)
{
	struct pair *pairs = arena_array(a, (size_t)patch->len + 1, sizeof(*pairs));
	struct value inner;
	size_t n = 0;

	for (uint32_t i = 0; i < patch->len; i++) {
		inner = patch->pairs[i].v.kind == V_MAP ? nulls_of(a, &patch->pairs[i].v) : VALUE_NULL;
		if (patch->pairs[i].v.kind == V_NULL || (inner.kind == V_MAP && inner.len > 0))
			pairs[n++] = (struct pair){ patch->pairs[i].key, inner };
	}
	return value_map(pairs, n);
}

struct value
kube_strategic_merge(struct arena *a, const struct value *object, const struct value *patch)
{
	const struct value types = kube_types(a, object), gone = nulls_of(a, patch);
	const struct value merged = kube_apply_merge(a, object, patch, types.kind == V_MAP ? &types : NULL);

	return kube_merge_patch(a, &merged, &gone);
}
