/* SPDX-License-Identifier: Apache-2.0 */
/* Owns shapes: which fields of an object a request is about. An undo compares and puts back just these, so that what
 * others do to the rest of the object neither stops it nor is lost by it. A list is one field. */
#include "steps/target/kube_fields.h"

#include <string.h>

#include "steps/target/kube_patch.h"

static const struct value whole = { .kind = V_BOOL, .b = true };

static struct value
only(struct arena *a, const char *key, struct value v)
{
	struct pair *p = arena_alloc(a, sizeof(*p));

	*p = (struct pair){ key, v };
	return value_map(p, 1);
}

struct value
kube_shape_join(struct arena *a, const struct value *x, const struct value *y)
{
	struct value ret = *x, joined;
	const struct value *has;

	if (x->kind != V_MAP || y->kind != V_MAP)
		return x->kind == V_NULL ? *y : y->kind == V_NULL ? *x : whole;
	for (uint32_t i = 0; i < y->len; i++) {
		has = value_get(&ret, y->pairs[i].key);
		joined = has != NULL ? kube_shape_join(a, has, &y->pairs[i].v) : y->pairs[i].v;
		ret = kube_set(a, &ret, y->pairs[i].key, &joined);
	}
	return ret;
}

/* Of what a manager owns. */
static struct value
shape_of_owned(struct arena *a, const struct value *fields)
{
	struct pair *pairs = arena_array(a, (size_t)fields->len + 1, sizeof(*pairs));
	size_t n = 0;

	if (fields->kind != V_MAP || fields->len == 0)
		return whole;
	for (uint32_t i = 0; i < fields->len; i++) {
		const char *key = fields->pairs[i].key;

		if (strncmp(key, "k:", 2) == 0 || strncmp(key, "v:", 2) == 0 || strncmp(key, "i:", 2) == 0)
			return whole;
		if (strncmp(key, "f:", 2) == 0)
			pairs[n++] = (struct pair){ key + 2, shape_of_owned(a, &fields->pairs[i].v) };
	}
	return value_map(pairs, n);
}

static const struct value *
type_at(const struct value *types, struct arena *a, const char *key)
{
	return types != NULL ? value_get(types, arena_printf(a, "f:%s", key)) : NULL;
}

static struct value
shape_of_wanted(struct arena *a, const struct value *want, const struct value *types)
{
	struct pair *pairs;
	size_t n = 0;

	if (want->kind != V_MAP || (types != NULL && types->kind == V_MAP && types->len == 0))
		return whole;
	pairs = arena_array(a, (size_t)want->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < want->len; i++)
		if (want->pairs[i].v.kind != V_NULL)
			pairs[n++] = (struct pair){ want->pairs[i].key, shape_of_wanted(a, &want->pairs[i].v,
											type_at(types, a, want->pairs[i].key)) };
	return value_map(pairs, n);
}

/* Without what names the object rather than says something of it. */
static struct value
without_names(struct arena *a, const struct value *shape, const char *sub)
{
	static const char *const names[] = { "name", "namespace", "uid", "resourceVersion", "managedFields", "generation",
		"creationTimestamp", "selfLink" };
	const struct value *meta = value_get(shape, "metadata");
	struct value rest, ret = kube_set(a, shape, "apiVersion", NULL);

	ret = kube_set(a, &ret, "kind", NULL);
	if (sub == NULL || strcmp(sub, "status") != 0)
		ret = kube_set(a, &ret, "status", NULL);
	if (meta == NULL || meta->kind != V_MAP)
		return ret;
	rest = *meta;
	for (size_t i = 0; i < countof(names); i++)
		rest = kube_set(a, &rest, names[i], NULL);
	return kube_set(a, &ret, "metadata", rest.len > 0 ? &rest : NULL);
}

struct value
kube_shape_of_apply(struct arena *a, const struct value *object, const struct value *want, const char *sub)
{
	const struct value types = kube_types(a, object), *fields = kube_applied(object, sub);
	struct value shape = shape_of_wanted(a, want, types.kind == V_MAP ? &types : NULL), owned;

	if (fields != NULL) { /* what is wanted no more is taken out */
		owned = shape_of_owned(a, fields);
		shape = kube_shape_join(a, &shape, &owned);
	}
	return without_names(a, &shape, sub);
}

/* A directive of a strategic merge patch is about the list or map that it names, as a whole.
 * https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ */
static const char *
patched_key(const char *key)
{
	static const char *const directives[] = { "$setElementOrder/", "$deleteFromPrimitiveList/" };

	for (size_t i = 0; i < countof(directives); i++)
		if (strncmp(key, directives[i], strlen(directives[i])) == 0)
			return key + strlen(directives[i]);
	return key;
}

struct value
kube_shape_of_patch(struct arena *a, const struct value *patch)
{
	struct value ret = value_map(NULL, 0), inner, one;

	if (patch->kind != V_MAP || value_get(patch, "$patch") != NULL || value_get(patch, "$retainKeys") != NULL)
		return whole;
	for (uint32_t i = 0; i < patch->len; i++) {
		const char *key = patched_key(patch->pairs[i].key);

		inner = key == patch->pairs[i].key ? kube_shape_of_patch(a, &patch->pairs[i].v) : whole;
		one = only(a, key, inner);
		ret = kube_shape_join(a, &ret, &one);
	}
	return ret;
}

/* Down to the first list, or the last token. */
static struct value
shape_of_pointer(struct arena *a, const struct value *object, const char *const *tokens, size_t n)
{
	if (n == 0 || (object != NULL && object->kind == V_LIST))
		return whole;
	return only(a, tokens[0], shape_of_pointer(a, object != NULL ? value_get(object, tokens[0]) : NULL, tokens + 1, n - 1));
}

struct value
kube_shape_of_json(struct arena *a, const struct value *object, const struct value *ops)
{
	struct value ret = VALUE_NULL, one;
	const char *const *tokens;
	const char *name, *from;
	size_t n;

	for (uint32_t i = 0; ops->kind == V_LIST && i < ops->len; i++) {
		name = value_get_str(&ops->items[i], "op", "");
		if (strcmp(name, "test") == 0)
			continue;
		if (kube_pointer(a, value_get_str(&ops->items[i], "path", ""), &tokens, &n) < 0)
			return whole;
		one = shape_of_pointer(a, object, tokens, n);
		ret = kube_shape_join(a, &ret, &one);
		from = strcmp(name, "move") == 0 ? value_get_str(&ops->items[i], "from", NULL) : NULL;
		if (from == NULL)
			continue;
		if (kube_pointer(a, from, &tokens, &n) < 0)
			return whole;
		one = shape_of_pointer(a, object, tokens, n);
		ret = kube_shape_join(a, &ret, &one);
	}
	return ret.kind == V_NULL ? value_map(NULL, 0) : ret;
}

struct value
kube_project(struct arena *a, const struct value *shape, const struct value *image)
{
	struct pair *pairs;
	const struct value *v;
	struct value part;
	uint32_t hint = 0;
	size_t n = 0;

	if (shape->kind != V_MAP || image->kind != V_MAP)
		return *image;
	if (shape->len == 0)
		return value_map(NULL, 0);
	pairs = arena_array(a, shape->len, sizeof(*pairs));
	for (uint32_t i = 0; i < shape->len; i++) {
		v = kube_member(image, shape->pairs[i].key, &hint);
		if (v == NULL)
			continue;
		part = kube_project(a, &shape->pairs[i].v, v);
		if (part.kind != V_NULL)
			pairs[n++] = (struct pair){ shape->pairs[i].key, part };
	}
	return n > 0 ? value_map(pairs, n) : VALUE_NULL;
}

/* Of one field; before or now is NULL where it is not there. False: nothing is to be done. */
static bool
restore_field(struct arena *a, const struct value *shape, const struct value *before, const struct value *now, struct value *ret)
{
	if (before == NULL && now == NULL)
		return false;
	if (before != NULL && now != NULL && value_eq(before, now))
		return false;
	if (shape->kind == V_MAP && shape->len > 0 && (before == NULL || before->kind == V_MAP) &&
	    (now == NULL || now->kind == V_MAP)) {
		*ret = kube_restore(a, shape, before, now);
		return ret->len > 0;
	}
	if (shape->kind == V_MAP && shape->len == 0) /* only whether there is a map is ours */
		if (now != NULL && now->kind == V_MAP && (before != NULL ? before->kind == V_MAP : now->len > 0))
			return false;
	*ret = before != NULL ? *before : VALUE_NULL;
	return true;
}

struct value
kube_restore(struct arena *a, const struct value *shape, const struct value *before, const struct value *now)
{
	struct pair *pairs = arena_array(a, (size_t)shape->len + 1, sizeof(*pairs));
	const struct value *b, *w;
	uint32_t at_before = 0, at_now = 0;
	struct value v;
	size_t n = 0;

	for (uint32_t i = 0; shape->kind == V_MAP && i < shape->len; i++) {
		b = kube_member(before, shape->pairs[i].key, &at_before);
		w = kube_member(now, shape->pairs[i].key, &at_now);
		if (restore_field(a, &shape->pairs[i].v, b, w, &v))
			pairs[n++] = (struct pair){ shape->pairs[i].key, v };
	}
	return value_map(pairs, n);
}
