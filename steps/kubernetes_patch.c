/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of objects: patch says what, and scale, label and annotate are patches of which the family knows what they are. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "steps/kube_object.h"
#include "steps/kube_ref.h"

struct patch_args {
	struct target *in;
	const char *kind, *name, *namespace, *subresource, *uid, *resource_version;
	const struct value *merge, *json, *strategic;
};

static int
patch_check(const void *args, struct err *err)
{
	const struct patch_args *a = args;
	const struct value *map = a->merge != NULL ? a->merge : a->strategic;
	bool repeatable;

	if ((a->merge != NULL) + (a->json != NULL) + (a->strategic != NULL) != 1)
		return err_set(err, ERR_PLAN, "give one of merge, json and strategic");
	if (map != NULL && map->kind == V_MAP && map->len == 0)
		return err_set(err, ERR_PLAN, "the patch is empty: nothing to do");
	if (a->json != NULL && kube_check_json_patch(a->json, &repeatable, err) < 0)
		return -1;
	return kube_check(&(struct kube_name){ a->kind, a->namespace, a->name }, err);
}

/* One patch of one object. ret_after: what is there then. */
static int
patch(struct step_ctx *cx, const struct ref *on, const struct patch_args *a, const char *says, const struct value **ret_after,
      struct err *err)
{
	const struct value *what = a->merge != NULL ? a->merge : a->json != NULL ? a->json : a->strategic;
	struct pair *body = arena_array(step_arena(cx), 4, sizeof(*body));
	bool repeatable = true;
	size_t n = 0;

	if (a->json != NULL && kube_check_json_patch(a->json, &repeatable, err) < 0)
		return -1;
	body[n++] = (struct pair){ "patch", *what };
	body[n++] = (struct pair){ "type", value_str(a->merge != NULL ? "merge" : a->json != NULL ? "json" : "strategic") };
	if (a->uid != NULL)
		body[n++] = (struct pair){ "uid", value_str(a->uid) };
	if (a->resource_version != NULL)
		body[n++] = (struct pair){ "resource_version", value_str(a->resource_version) };
	return step_effect(cx, &(struct effect){ .on = *on, .verb = "patch", .body = value_map(body, n), .says = says,
				.class = repeatable && a->resource_version == NULL ? EFFECT_IDEMPOTENT : EFFECT_PROBE }, ret_after, err);
}

static int
patch_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct patch_args *a = args;
	const struct kube_name name = { a->kind, a->namespace, a->name };
	const struct ref on = { a->in, kube_ref_path(step_arena(cx), &name, a->subresource) };
	const struct value *what = a->merge != NULL ? a->merge : a->json != NULL ? a->json : a->strategic;
	const struct value *after, *generation;

	if (patch(cx, &on, a, step_text(cx, "patch %s%s%s", a->subresource != NULL ? a->subresource : "",
			a->subresource != NULL ? " of " : "", kube_ref_text(step_arena(cx), &name)), &after, err) < 0)
		return -1;
	generation = after->kind == V_UNKNOWN ? after : kube_object_get(after, "metadata", "generation");
	if (step_output(cx, "generation", generation != NULL ? *generation : VALUE_NULL, err) < 0)
		return -1;
	return step_output(cx, "object", kube_object_output(step_arena(cx), after, what), err);
}

static const char *const subresources[] = { "status", "scale", NULL };

static const struct field patch_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct patch_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to write to" },
	{ "kind", F_STRING, .offset = offsetof(struct patch_args, kind), .required = true, .object = true,
	  .help = "kind of the object, as kubernetes.get takes it" },
	{ "name", F_STRING, .offset = offsetof(struct patch_args, name), .required = true, .object = true,
	  .help = "its name, or NAMESPACE/NAME" },
	{ "namespace", F_STRING, .offset = offsetof(struct patch_args, namespace), .object = true,
	  .help = "its namespace; without one the target's own" },
	{ "merge", F_MAP, .offset = offsetof(struct patch_args, merge), .secret = true,
	  .help = "the fields to set, null to remove; lists are replaced as a whole (RFC 7396)" },
	{ "strategic", F_MAP, .offset = offsetof(struct patch_args, strategic), .secret = true,
	  .help = "as merge, but lists of built-in kinds are merged by their keys" },
	{ "json", F_LIST, F_MAP, offsetof(struct patch_args, json), .secret = true,
	  .help = "a list of operations {op, path, value} (RFC 6902)" },
	{ "subresource", F_STRING, .offset = offsetof(struct patch_args, subresource), .choices = subresources,
	  .help = "patch this part of it" },
	{ "uid", F_STRING, .offset = offsetof(struct patch_args, uid), .help = "only when this is its uid" },
	{ "resource_version", F_STRING, .offset = offsetof(struct patch_args, resource_version),
	  .help = "only when nobody has changed it since" },
	{ 0 },
};

static const struct field patch_outputs[] = {
	{ "object", F_MAP, .help = "the object as the server has it, as kubernetes.apply shows it" },
	{ "generation", F_INT, .help = "its metadata.generation, for kubernetes.wait; null for kinds without" },
	{ 0 },
};

const struct step_type kubernetes_patch_step = {
	.name = "kubernetes.patch",
	.summary = "change fields of one object; the undo puts these fields back as they were",
	.inputs = patch_inputs,
	.outputs = patch_outputs,
	.args_size = sizeof(struct patch_args),
	.version = 1,
	.run = patch_run,
	.check = patch_check,
};

struct scale_args {
	struct target *in;
	const char *kind, *name, *namespace;
	int64_t replicas;
};

static int
scale_check(const void *args, struct err *err)
{
	const struct scale_args *a = args;

	return kube_check(&(struct kube_name){ a->kind, a->namespace, a->name }, err);
}

static int
scale_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct scale_args *a = args;
	const struct kube_name name = { a->kind, a->namespace, a->name };
	const struct ref on = { a->in, kube_ref_path(step_arena(cx), &name, "scale") };
	struct pair *replicas = arena_alloc(step_arena(cx), sizeof(*replicas)), *spec = arena_alloc(step_arena(cx), sizeof(*spec));
	struct value merge;

	*replicas = (struct pair){ "replicas", value_int(a->replicas) };
	*spec = (struct pair){ "spec", value_map(replicas, 1) };
	merge = value_map(spec, 1);
	return patch(cx, &on, &(struct patch_args){ .merge = &merge },
		     step_text(cx, "scale %s to %" PRIi64, kube_ref_text(step_arena(cx), &name), a->replicas), NULL, err);
}

static const struct field scale_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct scale_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to write to" },
	{ "kind", F_STRING, .offset = offsetof(struct scale_args, kind), .required = true, .object = true,
	  .help = "Deployment, StatefulSet, or any kind with the subresource scale" },
	{ "name", F_STRING, .offset = offsetof(struct scale_args, name), .required = true, .object = true,
	  .help = "its name, or NAMESPACE/NAME" },
	{ "namespace", F_STRING, .offset = offsetof(struct scale_args, namespace), .object = true,
	  .help = "its namespace; without one the target's own" },
	{ "replicas", F_INT, .offset = offsetof(struct scale_args, replicas), .required = true, .max = 2147483647,
	  .help = "how many; kubernetes.wait with pods_of waits for them" },
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type kubernetes_scale_step = {
	.name = "kubernetes.scale",
	.summary = "set the number of replicas; the undo goes back to the number that was there before",
	.inputs = scale_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct scale_args),
	.version = 1,
	.run = scale_run,
	.check = scale_check,
};

struct mark_args {
	struct target *in;
	const char *kind, *name, *namespace;
	const struct value *marks;
};

static int
mark_check(const struct mark_args *a, const char *what, struct err *err)
{
	if (kube_check_marks(what, a->marks, err) < 0)
		return -1;
	return kube_check(&(struct kube_name){ a->kind, a->namespace, a->name }, err);
}

static int
label_check(const void *args, struct err *err)
{
	return mark_check(args, "labels", err);
}

static int
annotate_check(const void *args, struct err *err)
{
	return mark_check(args, "annotations", err);
}

/* what: where in the metadata they go. */
static int
mark_run(struct step_ctx *cx, const struct mark_args *a, const char *what, struct err *err)
{
	const struct kube_name name = { a->kind, a->namespace, a->name };
	const struct ref on = { a->in, kube_ref_path(step_arena(cx), &name, NULL) };
	struct pair *marks = arena_alloc(step_arena(cx), sizeof(*marks)), *metadata = arena_alloc(step_arena(cx), sizeof(*metadata));
	struct value merge;

	*marks = (struct pair){ what, *a->marks };
	*metadata = (struct pair){ "metadata", value_map(marks, 1) };
	merge = value_map(metadata, 1);
	return patch(cx, &on, &(struct patch_args){ .merge = &merge },
		     step_text(cx, "set %s of %s", what, kube_ref_text(step_arena(cx), &name)), NULL, err);
}

static int
label_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return mark_run(cx, args, "labels", err);
}

static int
annotate_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return mark_run(cx, args, "annotations", err);
}

#define MARK_INPUTS(what, text)                                                                                              \
	{ "in", F_TARGET, .offset = offsetof(struct mark_args, in), .required = true, .kind = "kubernetes", .object = true,   \
	  .help = "the cluster to write to" },                                                                               \
	{ "kind", F_STRING, .offset = offsetof(struct mark_args, kind), .required = true, .object = true,                    \
	  .help = "kind of the object, as kubernetes.get takes it" },                                                        \
	{ "name", F_STRING, .offset = offsetof(struct mark_args, name), .required = true, .object = true,                    \
	  .help = "its name, or NAMESPACE/NAME" },                                                                           \
	{ "namespace", F_STRING, .offset = offsetof(struct mark_args, namespace), .object = true,                            \
	  .help = "its namespace; without one the target's own" },                                                           \
	{ what, F_MAP, .offset = offsetof(struct mark_args, marks), .required = true, .help = text },                        \
	{ 0 },

static const struct field label_inputs[] = { MARK_INPUTS("labels", "labels to set; null removes one") };
static const struct field annotate_inputs[] = { MARK_INPUTS("annotations", "annotations to set; null removes one") };

const struct step_type kubernetes_label_step = {
	.name = "kubernetes.label",
	.summary = "set or remove labels of one object; the undo puts them back as they were",
	.inputs = label_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct mark_args),
	.version = 1,
	.run = label_run,
	.check = label_check,
};

const struct step_type kubernetes_annotate_step = {
	.name = "kubernetes.annotate",
	.summary = "set or remove annotations of one object; the undo puts them back as they were",
	.inputs = annotate_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct mark_args),
	.version = 1,
	.run = annotate_run,
	.check = annotate_check,
};
