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
#include "steps/target/kube_hide.h"
#include "steps/target/kube_patch.h"

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

/* An object, or a patch of one, for this path. */
static struct value
folded(struct arena *a, const char *path, const struct value *object)
{
	const struct value *texts = value_get(object, "stringData"), *data = value_get(object, "data");
	struct value all, ret, one;

	if (strncmp(path, "Secret/", strlen("Secret/")) != 0 || texts == NULL || texts->kind != V_MAP)
		return *object;
	all = data != NULL && data->kind == V_MAP ? *data : value_map(NULL, 0);
	for (uint32_t i = 0; i < texts->len; i++) {
		one = encoded(a, &texts->pairs[i].v);
		all = kube_set(a, &all, texts->pairs[i].key, &one);
	}
	ret = kube_set(a, object, "stringData", NULL);
	return kube_set(a, &ret, "data", &all);
}

struct value
kube_wanted(struct arena *a, const struct effect *e)
{
	const struct value *object = value_get(&e->body, "object");

	return object != NULL && object->kind == V_MAP ? folded(a, e->on.path, object) : VALUE_NULL;
}

struct value
kube_wanted_patch(struct arena *a, const struct effect *e)
{
	const struct value *patch = value_get(&e->body, "patch");

	return patch != NULL ? folded(a, e->on.path, patch) : VALUE_NULL;
}

/* ---- patches ---- */

static const char *
patch_type(const struct effect *e)
{
	return value_get_str(&e->body, "type", "merge");
}

/* Words to the server in a strategic merge patch ($patch, $setElementOrder/…). */
static bool
has_directives(const struct value *patch)
{
	for (uint32_t i = 0; (patch->kind == V_LIST || patch->kind == V_MAP) && i < patch->len; i++)
		if (patch->kind == V_LIST ? has_directives(&patch->items[i])
					  : patch->pairs[i].key[0] == '$' || has_directives(&patch->pairs[i].v))
			return true;
	return false;
}

int
kube_patched(struct arena *a, const struct effect *e, const struct value *image, struct value *ret, struct err *err)
{
	const struct value patch = kube_wanted_patch(a, e);

	if (strcmp(patch_type(e), "json") == 0)
		return kube_json_patch(a, image, &patch, ret, err);
	if (strcmp(patch_type(e), "strategic") != 0)
		*ret = kube_merge_patch(a, image, &patch);
	else if (has_directives(&patch))
		return err_set(err, ERR_PREDICTED, "what a strategic merge patch with directives does is for the server to say");
	else
		*ret = kube_strategic_merge(a, image, &patch);
	return 0;
}

/* ---- what counts ---- */

static struct value
shape_of(struct arena *a, const struct effect *e, const struct value *before)
{
	const struct value wanted = kube_wanted(a, e), patch = kube_wanted_patch(a, e);

	if (kube_verb(e) != KUBE_PATCH)
		return kube_shape_of_apply(a, before, &wanted, kube_sub_of(e->on.path));
	return strcmp(patch_type(e), "json") == 0 ? kube_shape_of_json(a, before, &patch) : kube_shape_of_patch(a, &patch);
}

struct value
kube_stands(struct arena *a, const struct effect *e, const struct value *before, const struct value *image, const struct value *left)
{
	const enum kube_verb verb = kube_verb(e);
	const struct value *uid = kube_meta(left != NULL && left->kind == V_MAP ? left : image, "uid");
	const struct value unknown = value_unknown("the server gives it"); /* of what was never made */
	struct value shape, part = kube_reveal(a, image), meta;

	if (verb == KUBE_DELETE || verb == KUBE_EVICT) /* is it there? A controller makes its own again, which is none of ours */
		return image->kind != V_MAP || kube_is_going(image) || kube_is_controlled(image) ? VALUE_NULL : kube_again(a, &part);
	if (verb == KUBE_OTHER || image->kind != V_MAP)
		return *image;
	shape = shape_of(a, e, before);
	part = kube_project(a, &shape, &part);
	meta = kube_set(a, value_get(&part, "metadata"), "uid", uid != NULL ? uid : &unknown);
	return kube_set(a, &part, "metadata", &meta);
}

/* ---- what may be shown ---- */

/* What the server gives an object reads as unknown where it has not been made. */
static struct value
with_unknowns(struct arena *a, const struct value *image)
{
	static const char *const given[] = { "uid", "resourceVersion" };
	const struct value *meta = value_get(image, "metadata");
	const struct value unknown = value_unknown("the server gives it");
	struct value all;

	if (meta == NULL || meta->kind != V_MAP || (value_get(meta, given[0]) != NULL && value_get(meta, given[1]) != NULL))
		return *image;
	all = *meta;
	for (size_t i = 0; i < countof(given); i++)
		if (value_get(meta, given[i]) == NULL)
			all = kube_set(a, &all, given[i], &unknown);
	return kube_set(a, image, "metadata", &all);
}

struct value
kube_shown(struct arena *a, const struct effect *e, const struct value *image, bool diff)
{
	static const char *const noise[] = { "managedFields", "resourceVersion", "generation" };
	const struct value *meta, shape = kube_secret_shape(a, e);
	struct value ret, rest;

	if (image->kind != V_MAP)
		return *image;
	ret = kube_hide(a, &shape, image);
	if (!diff)
		return with_unknowns(a, &ret);
	meta = value_get(&ret, "metadata");
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
says_yes(const struct effect *e, const char *member)
{
	const struct value *v = value_get(&e->body, member);

	return v != NULL && v->kind == V_BOOL && v->b;
}

bool
kube_is_undo(const struct effect *e)
{
	return says_yes(e, "undo");
}

bool
kube_gone_is_fine(const struct effect *e)
{
	return says_yes(e, "missing_ok") || kube_is_undo(e);
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
	struct value then, shape, was;

	if (other_object(e, before) || kube_patched(a, e, before, &then, &ignored) < 0)
		return false;
	shape = shape_of(a, e, before);
	was = kube_project(a, &shape, before);
	then = kube_reveal(a, &then);
	then = kube_project(a, &shape, &then); /* an empty map on the way is none for the server */
	return value_eq(&then, &was);
}

/* A create that leaves what is there as it is. */
static bool
keeps(const struct effect *e)
{
	return strcmp(value_get_str(&e->body, "existing", ""), "keep") == 0;
}

bool
kube_is_bare(const struct value *object)
{
	const struct value *meta = value_get(object, "metadata");

	for (uint32_t i = 0; object->kind == V_MAP && i < object->len; i++) {
		const char *key = object->pairs[i].key;
		const struct value *v = &object->pairs[i].v;

		if (strcmp(key, "apiVersion") != 0 && strcmp(key, "kind") != 0 && v != meta && v->kind != V_NULL && !(v->kind == V_MAP && v->len == 0))
			return false;
	}
	for (uint32_t i = 0; meta != NULL && meta->kind == V_MAP && i < meta->len; i++)
		if (strcmp(meta->pairs[i].key, "name") != 0 && strcmp(meta->pairs[i].key, "namespace") != 0)
			return false;
	return true;
}

bool
kube_fresh(const struct effect *e)
{
	return kube_verb(e) == KUBE_CREATE && !keeps(e) && !kube_is_undo(e) && !kube_is_bare(value_get(&e->body, "object"));
}

bool
kube_same(const struct effect *e, const struct value *before)
{
	struct arena a = ARENA_INIT;
	const enum kube_verb verb = kube_verb(e);
	const struct value now = kube_reveal(&a, before);
	bool ret = false;

	if (verb == KUBE_DELETE || verb == KUBE_EVICT)
		ret = before->kind == V_NULL || other_object(e, before) ? kube_gone_is_fine(e) : kube_is_going(before);
	else if (before->kind == V_MAP && (verb == KUBE_APPLY || (verb == KUBE_CREATE && kube_is_undo(e))))
		ret = same_applied(&a, e, &now);
	else if (verb == KUBE_PATCH && before->kind == V_MAP)
		ret = same_patched(&a, e, &now);
	else if (verb == KUBE_CREATE && before->kind == V_MAP)
		ret = keeps(e);
	else if (verb == KUBE_CREATE && kube_is_undo(e)) /* it is made again, but not by us */
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
body_of(struct arena *a, const struct effect *e, const struct value *now, const char *first, struct value v)
{
	const struct value *uid = kube_meta(now, "uid"), hide = kube_secret_shape(a, e);
	struct pair *pairs = arena_array(a, 4, sizeof(*pairs));
	size_t n = 0;

	pairs[n++] = (struct pair){ "undo", value_bool(true) };
	pairs[n++] = (struct pair){ first, v };
	if (uid != NULL)
		pairs[n++] = (struct pair){ "uid", *uid };
	if (hide.kind != V_NULL)
		pairs[n++] = (struct pair){ "hide", hide };
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
	*ret = (struct effect){ .on = e->on, .verb = "create", .class = EFFECT_PROBE, .body = body_of(a, e, &nothing, "object", again),
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
	if (verb == KUBE_CREATE && before->kind == V_MAP && keeps(e)) {
		*ret = (struct effect){ .on = e->on, .verb = "patch", .class = EFFECT_IDEMPOTENT,
			.body = body_of(a, e, after, "patch", value_map(NULL, 0)), .says = arena_printf(a, "leave %s as it was", e->on.path) };
		return 0;
	}
	if (verb == KUBE_CREATE || before->kind != V_MAP) {
		*ret = (struct effect){ .on = e->on, .verb = "delete", .class = EFFECT_PROBE,
			.body = body_of(a, e, after, "propagation", value_str("background")),
			.says = arena_printf(a, "delete %s, which was not there before", e->on.path) };
		return 0;
	}
	shape = shape_of(a, e, before);
	if (shape.kind != V_MAP)
		return err_set(err, ERR_IN_DOUBT, "it replaced the whole object");
	patch = kube_restore(a, &shape, before, after);
	*ret = (struct effect){ .on = e->on, .verb = "patch", .class = EFFECT_IDEMPOTENT, .body = body_of(a, e, after, "patch", patch),
		.says = arena_printf(a, "put the fields of %s back as they were", e->on.path) };
	return 0;
}
