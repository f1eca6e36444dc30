/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the images of objects mean: an effect is about the fields that its body writes and about one object, by its uid.
 * So the status, the work of controllers and other people's fields never stop an undo, and an object that was made anew
 * under the same name is never taken for the old one. What wherry owns (field managers) is no part of "is so
 * already": an operator cares for what the object says. */
#include "steps/target/kube_image.h"

#include <string.h>

#include "base/hash.h"
#include "steps/target/kube_again.h"
#include "steps/target/kube_fields.h"
#include "steps/target/kube_patch.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

static const struct value nothing = { .kind = V_NULL };

enum kube_verb
kube_verb(const struct effect *e)
{
	static const char *const names[] = { [KUBE_APPLY] = "apply", [KUBE_CREATE] = "create", [KUBE_PATCH] = "patch",
		[KUBE_DELETE] = "delete", [KUBE_EVICT] = "evict" };

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(e->verb, names[i]) == 0)
			return (enum kube_verb)i;
	return KUBE_OTHER;
}

const char *
kube_sub_of(const char *path)
{
	const char *hash = strchr(path, '#');

	return hash != NULL ? hash + 1 : NULL;
}

bool
kube_is_going(const struct value *object)
{
	return kube_meta(object, "deletionTimestamp") != NULL;
}

/* ---- what a Secret is to hold ---- */

/* The value of stringData as it stands in data: secret if it was. */
static struct value
encoded(struct arena *a, const struct value *v)
{
	const bool hidden = v->kind == V_SECRET;
	struct buf text = BUF_INIT(0);
	struct secret *s;
	struct value ret;

	if (v->kind != V_STRING && (!hidden || v->secret->content == NULL))
		return *v;
	base64_encode(&text, hidden ? v->secret->content : v->s, hidden ? v->secret->len : v->len);
	ret = value_strn(arena_strndup(a, text.p != NULL ? text.p : "", text.len), text.len);
	if (hidden) {
		s = arena_alloc(a, sizeof(*s));
		*s = (struct secret){ v->secret->where, ret.len, (char *)ret.s };
		ret = value_secret(s);
	}
	if (text.p != NULL)
		explicit_bzero(text.p, text.cap);
	buf_done(&text);
	return ret;
}

static bool
is_secret(const struct value *object)
{
	return strcmp(value_get_str(object, "kind", ""), "Secret") == 0 && strcmp(value_get_str(object, "apiVersion", "v1"), "v1") == 0;
}

struct value
kube_wanted(struct arena *a, const struct effect *e)
{
	const struct value *object = value_get(&e->body, "object"), *texts, *data;
	struct value all, ret, one;

	if (object == NULL || object->kind != V_MAP)
		return VALUE_NULL;
	texts = value_get(object, "stringData");
	if (!is_secret(object) || texts == NULL || texts->kind != V_MAP)
		return *object;
	data = value_get(object, "data");
	all = data != NULL && data->kind == V_MAP ? *data : value_map(NULL, 0);
	for (uint32_t i = 0; i < texts->len; i++) {
		one = encoded(a, &texts->pairs[i].v);
		all = kube_set(a, &all, texts->pairs[i].key, &one);
	}
	ret = kube_set(a, object, "stringData", NULL);
	return kube_set(a, &ret, "data", &all);
}

/* ---- patches ---- */

static const char *
patch_type(const struct effect *e)
{
	return value_get_str(&e->body, "type", "merge");
}

static const struct value *
patch_of(const struct effect *e)
{
	const struct value *patch = value_get(&e->body, "patch");

	return patch != NULL ? patch : &nothing;
}

int
kube_patched(struct arena *a, const struct effect *e, const struct value *image, struct value *ret, struct err *err)
{
	if (strcmp(patch_type(e), "json") == 0)
		return kube_json_patch(a, image, patch_of(e), ret, err);
	*ret = kube_merge_patch(a, image, patch_of(e));
	return 0;
}

/* Would a strategic merge patch do something that a merge patch would not? */
static bool
is_strategic(const struct value *patch)
{
	if (patch->kind == V_LIST)
		return true;
	for (uint32_t i = 0; patch->kind == V_MAP && i < patch->len; i++)
		if (patch->pairs[i].key[0] == '$' || is_strategic(&patch->pairs[i].v))
			return true;
	return false;
}

/* ---- what counts ---- */

static struct value
shape_of(struct arena *a, const struct effect *e, const struct value *before)
{
	const struct value wanted = kube_wanted(a, e);

	if (kube_verb(e) != KUBE_PATCH)
		return kube_shape_of_apply(a, before, &wanted, kube_sub_of(e->on.path));
	return strcmp(patch_type(e), "json") == 0 ? kube_shape_of_json(a, before, patch_of(e)) : kube_shape_of_patch(a, patch_of(e));
}

struct value
kube_stands(struct arena *a, const struct effect *e, const struct value *before, const struct value *image)
{
	static const struct pair uid[] = { { "uid", { .kind = V_BOOL, .b = true } } };
	static const struct pair meta[] = { { "metadata", { .kind = V_MAP, .len = 1, .pairs = uid } } };
	static const struct value id = { .kind = V_MAP, .len = 1, .pairs = meta };
	const enum kube_verb verb = kube_verb(e);
	struct value shape;

	if (verb == KUBE_DELETE || verb == KUBE_EVICT) /* is it there? A controller makes its own again, which is none of ours */
		return image->kind != V_MAP || kube_is_going(image) || kube_is_controlled(image) ? VALUE_NULL : kube_again(a, image);
	if (verb == KUBE_OTHER || image->kind != V_MAP)
		return *image;
	shape = shape_of(a, e, before);
	shape = kube_shape_join(a, &shape, &id);
	return kube_project(a, &shape, image);
}

/* ---- what may be shown ---- */

static struct value
hidden(struct arena *a, const struct value *object, const char *member, const char *key, const struct value *v)
{
	struct secret *s;

	if (v->kind != V_STRING)
		return *v;
	s = arena_alloc(a, sizeof(*s));
	*s = (struct secret){ .len = v->len, .content = arena_strndup(a, v->s, v->len),
		.where = arena_printf(a, "Secret/%s/%s %s.%s", kube_meta_str(object, "namespace"), kube_meta_str(object, "name"), member,
				      key) };
	return value_secret(s);
}

static struct value
hide_members(struct arena *a, const struct value *object, const char *member, struct value *parent)
{
	const struct value *map = value_get(parent, member);
	struct pair *pairs;
	struct value all;

	if (map == NULL || map->kind != V_MAP)
		return *parent;
	pairs = arena_array(a, (size_t)map->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < map->len; i++)
		pairs[i] = (struct pair){ map->pairs[i].key, hidden(a, object, member, map->pairs[i].key, &map->pairs[i].v) };
	all = value_map(pairs, map->len);
	return kube_set(a, parent, member, &all);
}

/* A Secret without what is secret in it: its values, and the copy of them that `kubectl apply` keeps. */
static struct value
hide(struct arena *a, const struct value *object)
{
	const struct value *notes = kube_meta(object, "annotations"), *last = notes != NULL ? value_get(notes, LAST_APPLIED) : NULL;
	struct value ret = *object, meta, all, one;

	ret = hide_members(a, object, "data", &ret);
	ret = hide_members(a, object, "stringData", &ret);
	if (last == NULL)
		return ret;
	one = hidden(a, object, "annotations", "last-applied-configuration", last);
	all = kube_set(a, notes, LAST_APPLIED, &one);
	meta = kube_set(a, value_get(object, "metadata"), "annotations", &all);
	return kube_set(a, &ret, "metadata", &meta);
}

struct value
kube_shown(struct arena *a, const char *path, const struct value *image, bool diff)
{
	static const char *const noise[] = { "managedFields", "resourceVersion", "generation" };
	const struct value *meta;
	struct value ret = *image, rest;

	if (image->kind != V_MAP)
		return ret;
	if (strncmp(path, "Secret/", strlen("Secret/")) == 0 || is_secret(image))
		ret = hide(a, image);
	meta = diff ? value_get(&ret, "metadata") : NULL;
	if (meta == NULL || meta->kind != V_MAP)
		return ret;
	rest = *meta;
	for (size_t i = 0; i < countof(noise); i++)
		rest = kube_set(a, &rest, noise[i], NULL);
	return kube_set(a, &ret, "metadata", &rest);
}

/* ---- is it so already ---- */

static bool
other_object(const struct effect *e, const struct value *image)
{
	const char *uid = value_get_str(&e->body, "uid", NULL);

	return uid != NULL && strcmp(uid, kube_meta_str(image, "uid")) != 0;
}

static bool
is_undo(const struct effect *e)
{
	const struct value *undo = value_get(&e->body, "undo");

	return undo != NULL && value_true(undo);
}

static bool
same_applied(struct arena *a, const struct effect *e, const struct value *before)
{
	const char *sub = kube_sub_of(e->on.path);
	struct value want = kube_wanted(a, e), types = kube_types(a, before);

	/* an object of another version of its kind has the same fields or is refused */
	want = kube_set(a, &want, "apiVersion", NULL);
	if (sub == NULL || strcmp(sub, "status") != 0)
		want = kube_set(a, &want, "status", NULL);
	return !kube_is_going(before) && kube_has(&want, before, types.kind == V_MAP ? &types : NULL) && !kube_drops(a, before, &want, sub);
}

static bool
same_patched(struct arena *a, const struct effect *e, const struct value *before)
{
	struct err ignored = ERR_INIT;
	struct value then;

	if (other_object(e, before) || (strcmp(patch_type(e), "strategic") == 0 && is_strategic(patch_of(e))))
		return false;
	return kube_patched(a, e, before, &then, &ignored) == 0 && value_eq(&then, before);
}

bool
kube_same(const struct effect *e, const struct value *before)
{
	struct arena a = ARENA_INIT;
	const enum kube_verb verb = kube_verb(e);
	bool ret = false;

	if (verb == KUBE_DELETE || verb == KUBE_EVICT)
		ret = before->kind == V_NULL || kube_is_going(before) || other_object(e, before);
	else if (before->kind == V_MAP && (verb == KUBE_APPLY || (verb == KUBE_CREATE && is_undo(e))))
		ret = same_applied(&a, e, before);
	else if (verb == KUBE_PATCH && before->kind == V_MAP)
		ret = same_patched(&a, e, before);
	else if (verb == KUBE_CREATE && is_undo(e)) /* it is made again, but not by us */
		ret = kube_is_controlled(value_get(&e->body, "object"));
	arena_done(&a);
	return ret;
}

struct value
kube_after(struct arena *a, const struct effect *e, const struct value *reply)
{
	const enum kube_verb verb = kube_verb(e);

	(void)a;
	return verb == KUBE_DELETE || verb == KUBE_EVICT ? VALUE_NULL : *reply;
}

/* ---- the way back ---- */

static struct value
body_of(struct arena *a, const struct value *now, const char *first, struct value v)
{
	const struct value *uid = kube_meta(now, "uid");
	struct pair *pairs = arena_array(a, 3, sizeof(*pairs));
	size_t n = 0;

	pairs[n++] = (struct pair){ "undo", value_bool(true) };
	pairs[n++] = (struct pair){ first, v };
	if (uid != NULL)
		pairs[n++] = (struct pair){ "uid", *uid };
	return value_map(pairs, n);
}

static int
invert_delete(struct arena *a, const struct effect *e, const struct value *before, struct effect *ret, struct err *err)
{
	const char *lost = kube_cannot_come_back(before);
	const bool controlled = kube_is_controlled(before);
	const struct value again = controlled ? *before : kube_again(a, before);

	if (lost != NULL)
		return err_set(err, ERR_IN_DOUBT, "%s", lost);
	*ret = (struct effect){ .on = e->on, .verb = "create", .class = EFFECT_PROBE, .body = body_of(a, &nothing, "object", again),
		.says = arena_printf(a, controlled ? "leave it to its controller to make %s again" : "create %s again as it was, under a new "
				     "uid", e->on.path) };
	return 0;
}

int
kube_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after,
	    struct effect *ret, struct err *err)
{
	const enum kube_verb verb = kube_verb(e);
	struct value shape, patch;

	if (verb == KUBE_OTHER)
		return err_set(err, ERR_IN_DOUBT, "'%s' has no inverse", e->verb);
	if (verb == KUBE_EVICT)
		return err_set(err, ERR_IN_DOUBT, "an evicted pod cannot be put back where it was");
	if (verb == KUBE_DELETE)
		return invert_delete(a, e, before, ret, err);
	if (verb == KUBE_CREATE || before->kind != V_MAP) {
		*ret = (struct effect){ .on = e->on, .verb = "delete", .class = EFFECT_PROBE,
			.body = body_of(a, after, "propagation", value_str("background")),
			.says = arena_printf(a, "delete %s, which was not there before", e->on.path) };
		return 0;
	}
	shape = shape_of(a, e, before);
	if (shape.kind != V_MAP)
		return err_set(err, ERR_IN_DOUBT, "it replaced the whole object");
	patch = kube_restore(a, &shape, before, after);
	*ret = (struct effect){ .on = e->on, .verb = "patch", .class = EFFECT_IDEMPOTENT, .body = body_of(a, after, "patch", patch),
		.says = arena_printf(a, "put the fields of %s back as they were", e->on.path) };
	return 0;
}
