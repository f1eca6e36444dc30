/* SPDX-License-Identifier: Apache-2.0 */
/* Owns where secrets are in objects. A field that the plan writes as a secret held one before, too: so fields are hidden by
 * their place, in every image of the effect and of its undo, and not by what they hold. */
#include "steps/target/kube_hide.h"

#include <string.h>

#include "steps/target/kube_fields.h"
#include "steps/target/kube_image.h"
#include "steps/target/kube_patch.h"
#include "steps/target/kube_paths.h"
#include "steps/target/mask.h"

static const struct value whole = { .kind = V_BOOL, .b = true };

/* The parts of an object or patch that hold secrets; a list as a whole. */
static struct value
secret_parts(struct arena *a, const struct value *v)
{
	struct pair *pairs;
	size_t n = 0;

	if (!(v->flags & VF_SECRET))
		return VALUE_NULL;
	if (v->kind != V_MAP)
		return whole;
	pairs = arena_array(a, v->len, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++)
		if (v->pairs[i].v.flags & VF_SECRET)
			pairs[n++] = (struct pair){ v->pairs[i].key, secret_parts(a, &v->pairs[i].v) };
	return value_map(pairs, n);
}

struct value
kube_secret_shape(struct arena *a, const struct effect *e)
{
	static const struct pair of_secret[] = { { "data", { .kind = V_BOOL, .b = true } }, { "stringData", { .kind = V_BOOL, .b = true } } };
	static const char secrets[] = "Secret/";
	const struct value *hide = value_get(&e->body, "hide"), wanted = kube_wanted(a, e), patch = kube_wanted_patch(a, e);
	struct value ret = hide != NULL ? *hide : VALUE_NULL, one;

	if (strncmp(e->on.path, secrets, sizeof(secrets) - 1) == 0) {
		one = value_map(of_secret, countof(of_secret));
		ret = kube_shape_join(a, &ret, &one);
	}
	one = secret_parts(a, &wanted);
	ret = kube_shape_join(a, &ret, &one);
	one = patch.kind == V_LIST && (patch.flags & VF_SECRET) ? kube_shape_of_json(a, NULL, &patch) : secret_parts(a, &patch);
	return kube_shape_join(a, &ret, &one);
}

/* All texts in v. */
static struct value
hide_all(struct arena *a, const struct value *v, const char *where)
{
	struct value *items;
	struct pair *pairs;
	struct secret *s;

	if (v->kind == V_LIST) {
		items = arena_array(a, (size_t)v->len + 1, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = hide_all(a, &v->items[i], where);
		return value_list(items, v->len);
	}
	if (v->kind == V_MAP) {
		pairs = arena_array(a, (size_t)v->len + 1, sizeof(*pairs));
		for (uint32_t i = 0; i < v->len; i++)
			pairs[i] = (struct pair){ v->pairs[i].key, hide_all(a, &v->pairs[i].v, where) };
		return value_map(pairs, v->len);
	}
	if (v->kind != V_STRING)
		return *v;
	s = arena_alloc(a, sizeof(*s));
	*s = (struct secret){ .where = where, .len = v->len, .content = arena_strndup(a, v->s, v->len) };
	return value_secret(s);
}

static struct value
hide_shape(struct arena *a, const struct value *shape, const struct value *v, const char *where)
{
	struct value ret = *v, part;
	const struct value *has;

	if (shape->kind == V_BOOL)
		return hide_all(a, v, where);
	for (uint32_t i = 0; shape->kind == V_MAP && i < shape->len; i++) {
		has = value_get(&ret, shape->pairs[i].key);
		if (has == NULL)
			continue;
		part = hide_shape(a, &shape->pairs[i].v, has, arena_printf(a, "%s.%s", where, shape->pairs[i].key));
		ret = kube_set(a, &ret, shape->pairs[i].key, &part);
	}
	/* a list on the way is hidden as a whole: its items are not told apart */
	return shape->kind == V_MAP && shape->len > 0 && v->kind == V_LIST ? hide_all(a, v, where) : ret;
}

struct value
kube_hide(struct arena *a, const struct value *shape, const struct value *object)
{
	const struct value ret = shape->kind != V_NULL && object->kind == V_MAP ? hide_shape(a, shape, object, "object") : *object;

	return kube_paths_hide(a, &ret);
}

struct value
kube_reveal(struct arena *a, const struct value *v)
{
	struct value *items;
	struct pair *pairs;

	if (!(v->flags & VF_SECRET))
		return *v;
	if (v->kind == V_SECRET)
		return v->secret->content != NULL ? value_strn(v->secret->content, v->secret->len) : *v;
	if (v->kind == V_LIST) {
		items = arena_array(a, v->len, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = kube_reveal(a, &v->items[i]);
		return value_list(items, v->len);
	}
	pairs = arena_array(a, v->len, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++)
		pairs[i] = (struct pair){ v->pairs[i].key, kube_reveal(a, &v->pairs[i].v) };
	return value_map(pairs, v->len);
}

void
kube_mask(const struct effect *e, struct err *err)
{
	struct arena a = ARENA_INIT;
	const struct value shape = kube_secret_shape(&a, e), wanted = kube_wanted(&a, e), patch = kube_wanted_patch(&a, e);
	struct value hidden;

	mask_err(err, &e->body);
	hidden = kube_hide(&a, &shape, &wanted);
	mask_err(err, &hidden);
	hidden = kube_hide(&a, &shape, &patch);
	mask_err(err, &hidden);
	arena_done(&a);
}
