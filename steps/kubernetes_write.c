/* SPDX-License-Identifier: Apache-2.0 */
/* Whole objects: apply, create and delete. What is sent is the plan's; what comes back goes into outputs without what is
 * secret in it. */
#include "step.h"

#include <string.h>

#include "base/map.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/kube_until.h"
#include "steps/target/kube_paths.h"

struct apply_args {
	struct target *in;
	const struct value *object, *objects;
	const char *namespace;
	const struct expr *until;
	bool force;
};

/* The objects of a step: the one, or those of the list. */
static const struct value *
object_at(const struct apply_args *a, uint32_t i)
{
	return a->object != NULL ? a->object : &a->objects->items[i];
}

static uint32_t
object_count(const struct apply_args *a)
{
	return a->object != NULL ? 1 : a->objects->kind == V_LIST ? a->objects->len : 0;
}

/* Names and kinds of all objects, as far as they are known, and that no two are one. */
static int
check_names(const struct apply_args *a, struct arena *scratch, struct map *seen, struct err *err)
{
	struct kube_name name;
	const char *path;

	for (uint32_t i = 0; i < object_count(a); i++) {
		struct err unknown = ERR_INIT;

		if (kube_object_name(scratch, object_at(a, i), a->namespace, &name, &unknown) < 0) {
			if (unknown.kind == ERR_PREDICTED)
				continue;
			*err = unknown;
			return a->object != NULL ? -1 : err_wrap(err, "objects[%u]", i);
		}
		path = kube_ref_path(scratch, &name, NULL);
		if (map_add(seen, path, strlen(path), i) != MAP_NONE)
			return err_set(err, ERR_PLAN, "%.300s stands there twice", kube_ref_text(scratch, &name));
	}
	return 0;
}

static int
apply_check(const void *args, struct err *err)
{
	const struct apply_args *a = args;
	struct arena scratch = ARENA_INIT;
	struct map seen = MAP_INIT;
	int rc;

	if ((a->object != NULL) == (a->objects != NULL))
		return err_set(err, ERR_PLAN, "give either object or objects");
	if (a->objects != NULL && a->objects->kind == V_LIST && a->objects->len == 0)
		return err_set(err, ERR_PLAN, "objects is empty: there is nothing to apply");
	if (a->namespace != NULL && kube_check_namespace(a->namespace, err) < 0)
		return -1;
	rc = check_names(a, &scratch, &seen, err);
	map_done(&seen);
	arena_done(&scratch);
	return rc;
}

/* One object onto the server; ret_after: as it is there then. */
static int
put(struct step_ctx *cx, const struct apply_args *a, const char *verb, const struct value *object, const struct kube_name *name,
    const struct value **ret_after, struct err *err)
{
	const struct value sent = kube_object_sent(step_arena(cx), object);
	struct pair *body = arena_array(step_arena(cx), 2, sizeof(*body));
	const bool applies = strcmp(verb, "apply") == 0;

	body[0] = (struct pair){ "object", sent };
	body[1] = (struct pair){ "force", value_bool(a->force) };
	return step_effect(cx,
		&(struct effect){
			.on = { a->in, kube_ref_path(step_arena(cx), name, NULL) },
			.verb = verb,
			.body = value_map(body, applies ? 2 : 1),
			.class = applies ? EFFECT_IDEMPOTENT : EFFECT_PROBE,
			.says = step_text(cx, "%s %s", verb, kube_ref_text(step_arena(cx), name)),
		},
		ret_after, err);
}

/* What tells an object apart, in few bytes: for lists of many. */
static struct value
brief(struct step_ctx *cx, const struct value *object)
{
	static const char *const members[] = { "namespace", "name", "uid", "generation" };
	struct pair *pairs = arena_array(step_arena(cx), countof(members) + 1, sizeof(*pairs));
	size_t n = 0;

	if (object->kind != V_MAP)
		return *object;
	pairs[n++] = (struct pair){ "kind", value_str(value_get_str(object, "kind", "")) };
	for (size_t i = 0; i < countof(members); i++)
		if (kube_object_get(object, "metadata", members[i]) != NULL)
			pairs[n++] = (struct pair){ members[i], *kube_object_get(object, "metadata", members[i]) };
	return value_map(pairs, n);
}

static int
put_outputs(struct step_ctx *cx, const struct apply_args *a, const struct value *objects, const struct value *object, struct err *err)
{
	static const char *const members[] = { "uid", "generation" };
	const bool one = a->object != NULL;

	for (size_t i = 0; i < countof(members); i++) {
		const struct value *v = object->kind == V_UNKNOWN ? object : kube_object_get(object, "metadata", members[i]);

		if (step_output(cx, members[i], one && v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	if (step_output(cx, "object", one ? kube_object_output(step_arena(cx), object, a->object) : VALUE_NULL, err) < 0)
		return -1;
	return objects != NULL ? step_output(cx, "objects", *objects, err) : 0;
}

/* All objects of one kind and namespace, from the i-th on, in one watch. */
static int
wait_from(struct step_ctx *cx, const struct apply_args *a, const struct kube_name *names, uint32_t n, uint32_t i, bool *waited,
	  struct kube_found *ret, struct err *err)
{
	struct value *list = arena_array(step_arena(cx), n, sizeof(*list)), group;
	const char *namespace = names[i].namespace != NULL ? names[i].namespace : "";
	struct kube_until u = { .in = a->in, .until = a->until, .count = -1, .alone = n == 1 };
	uint32_t len = 0;

	for (uint32_t k = i; k < n; k++) {
		const char *other = names[k].namespace != NULL ? names[k].namespace : "";

		if (waited[k] || strcmp(names[k].kind, names[i].kind) != 0 || strcmp(other, namespace) != 0)
			continue;
		waited[k] = true;
		list[len++] = value_str(names[k].name);
	}
	group = value_list(list, len);
	u.names = u.alone ? NULL : &group;
	u.what = u.alone ? kube_ref_text(step_arena(cx), &names[i]) : step_text(cx, "%s", names[i].kind);
	u.path = u.alone ? kube_ref_path(step_arena(cx), &names[i], NULL) : kube_paths_list(step_arena(cx), names[i].kind, namespace, NULL, NULL);
	return kube_until(cx, &u, ret, err);
}

static int
put_all(struct step_ctx *cx, const struct apply_args *a, const char *verb, struct err *err)
{
	const uint32_t n = object_count(a);
	struct kube_name *names = arena_array(step_arena(cx), n + 1, sizeof(*names));
	struct value *briefs = arena_array(step_arena(cx), n + 1, sizeof(*briefs));
	bool *waited = arena_array(step_arena(cx), n + 1, sizeof(*waited));
	struct kube_found found = { .object = VALUE_NULL };
	const struct value *after = &found.object;
	struct value list;

	if (n == 0)
		return err_set(err, ERR_PREDICTED, "the objects are not known: %s", a->objects->s);
	for (uint32_t i = 0; i < n; i++) {
		if (kube_object_name(step_arena(cx), object_at(a, i), a->namespace, &names[i], err) < 0 ||
		    put(cx, a, verb, object_at(a, i), &names[i], &after, err) < 0)
			return -1;
		briefs[i] = brief(cx, after);
		if (n > 1)
			step_progress(cx, i + 1, n, "objects");
	}
	for (uint32_t i = 0; a->until != NULL && i < n; i++)
		if (!waited[i] && wait_from(cx, a, names, n, i, waited, &found, err) < 0)
			return -1;
	list = value_list(briefs, n);
	return put_outputs(cx, a, strcmp(verb, "apply") == 0 ? &list : NULL, a->until != NULL ? &found.object : after, err);
}

static int
apply_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return put_all(cx, args, "apply", err);
}

static const struct field apply_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct apply_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to write to" },
	{ "object", F_MAP, .offset = offsetof(struct apply_args, object), .secret = true, .object = true,
	  .help = "the object, with apiVersion, kind and metadata.name; what the server alone writes (status, uid, managedFields, …) "
		  "is left out; may hold secrets" },
	{ "objects", F_LIST, F_MAP, offsetof(struct apply_args, objects), .secret = true, .object = true,
	  .help = "several of them, applied in this order" },
	{ "namespace", F_STRING, .offset = offsetof(struct apply_args, namespace),
	  .help = "namespace of objects that name none; without it the target's own" },
	{ "force", F_BOOL, .offset = offsetof(struct apply_args, force),
	  .help = "take over fields that another manager owns, instead of failing with its name" },
	{ "until", F_EXPR, .offset = offsetof(struct apply_args, until),
	  .help = "an expression over value, the object as kubernetes.get shows it, that is to hold of each before the step ends" },
	{ 0 },
};

static const struct field apply_outputs[] = {
	{ "object", F_MAP, .help = "the object as the server has it, as kubernetes.get shows it; one that was made with secrets: only "
				   "what tells it apart, and its status; null for objects" },
	{ "uid", F_STRING, .help = "its uid" },
	{ "generation", F_INT, .help = "its metadata.generation, for kubernetes.wait; null for kinds without" },
	{ "objects", F_LIST, F_MAP, .help = "of each {kind, namespace, name, uid, generation}" },
	{ 0 },
};

const struct step_type kubernetes_apply_step = {
	.name = "kubernetes.apply",
	.summary = "server-side apply of one or several objects, as field manager wherry; the undo puts the fields back, or deletes "
		   "what was not there",
	.inputs = apply_inputs,
	.outputs = apply_outputs,
	.args_size = sizeof(struct apply_args),
	.version = 1,
	.run = apply_run,
	.check = apply_check,
};

static int
create_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return put_all(cx, args, "create", err);
}

static const struct field create_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct apply_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to write to" },
	{ "object", F_MAP, .offset = offsetof(struct apply_args, object), .required = true, .secret = true, .object = true,
	  .help = "the object, as kubernetes.apply takes it" },
	{ "namespace", F_STRING, .offset = offsetof(struct apply_args, namespace),
	  .help = "its namespace, where it names none; without it the target's own" },
	{ "until", F_EXPR, .offset = offsetof(struct apply_args, until),
	  .help = "an expression over value that is to hold before the step ends" },
	{ 0 },
};

static const struct field create_outputs[] = {
	{ "object", F_MAP, .help = "the object as the server has it, as kubernetes.apply shows it" },
	{ "uid", F_STRING, .help = "its uid" },
	{ "generation", F_INT, .help = "its metadata.generation; null for kinds without" },
	{ 0 },
};

const struct step_type kubernetes_create_step = {
	.name = "kubernetes.create",
	.summary = "create an object that must not be there yet; the undo deletes it",
	.inputs = create_inputs,
	.outputs = create_outputs,
	.args_size = sizeof(struct apply_args),
	.version = 1,
	.run = create_run,
	.check = apply_check,
};

struct delete_args {
	struct target *in;
	const char *kind, *name, *namespace, *uid, *propagation;
	bool missing_ok, wait;
	int64_t grace;
};

static int
delete_check(const void *args, struct err *err)
{
	const struct delete_args *a = args;

	return kube_check(&(struct kube_name){ a->kind, a->namespace, a->name }, err);
}

static struct value
delete_body(struct step_ctx *cx, const struct delete_args *a, const struct value *now)
{
	const struct value *uid = kube_object_get(now, "metadata", "uid");
	struct pair *body = arena_array(step_arena(cx), 4, sizeof(*body));
	size_t n = 0;

	body[n++] = (struct pair){ "propagation", value_str(a->propagation) };
	body[n++] = (struct pair){ "missing_ok", value_bool(a->missing_ok) };
	if (a->grace >= 0)
		body[n++] = (struct pair){ "grace", value_int(a->grace) };
	if (a->uid != NULL || (uid != NULL && uid->kind == V_STRING))
		body[n++] = (struct pair){ "uid", a->uid != NULL ? value_str(a->uid) : *uid };
	return value_map(body, n);
}

static int
delete_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct delete_args *a = args;
	const struct kube_name name = { a->kind, a->namespace, a->name };
	const struct ref on = { a->in, kube_ref_path(step_arena(cx), &name, NULL) };
	const char *text = kube_ref_text(step_arena(cx), &name);
	const struct value *now;
	struct kube_found found;

	if (step_read(cx, &on, &now, err) < 0 ||
	    step_effect(cx, &(struct effect){ .on = on, .verb = "delete", .body = delete_body(cx, a, now), .class = EFFECT_PROBE,
			.says = step_text(cx, "delete %s", text) }, NULL, err) < 0)
		return -1;
	if (!a->wait)
		return 0;
	return kube_until(cx, &(struct kube_until){ .in = a->in, .what = text, .path = on.path, .alone = true, .going = true, .count = 0 },
			  &found, err);
}

static const char *const propagations[] = { "background", "foreground", "orphan", NULL };

static const struct field delete_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct delete_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to delete from" },
	{ "kind", F_STRING, .offset = offsetof(struct delete_args, kind), .required = true, .object = true,
	  .help = "kind of the object, as kubernetes.get takes it" },
	{ "name", F_STRING, .offset = offsetof(struct delete_args, name), .required = true, .object = true,
	  .help = "its name, or NAMESPACE/NAME" },
	{ "namespace", F_STRING, .offset = offsetof(struct delete_args, namespace), .object = true,
	  .help = "its namespace; without one the target's own" },
	{ "uid", F_STRING, .offset = offsetof(struct delete_args, uid), .help = "only when this is its uid" },
	{ "missing_ok", F_BOOL, .offset = offsetof(struct delete_args, missing_ok), .help = "it may be gone already" },
	{ "propagation", F_STRING, .offset = offsetof(struct delete_args, propagation), .dflt = "background", .choices = propagations,
	  .help = "what becomes of the objects that it owns: deleted after it, before it, or left alone" },
	{ "grace", F_INT, .offset = offsetof(struct delete_args, grace), .dflt = "-1", .min = -1, .max = 86400,
	  .help = "seconds that it has to end (-1: as many as it says itself)" },
	{ "wait", F_BOOL, .offset = offsetof(struct delete_args, wait), .dflt = "true", .help = "wait until it is gone" },
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type kubernetes_delete_step = {
	.name = "kubernetes.delete",
	.summary = "delete one object; the undo creates it again from its pre-image, with another uid and without the data of its volumes",
	.inputs = delete_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct delete_args),
	.version = 1,
	.run = delete_run,
	.check = delete_check,
};
