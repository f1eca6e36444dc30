/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.wait: which objects, and how they are to be; kube_until waits. */
#include "step.h"

#include <string.h>

#include "steps/kube_goal.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/kube_until.h"
#include "steps/target/kube_paths.h"

struct wait_args {
	struct target *in;
	const char *kind, *name, *namespace, *selector, *field_selector, *pods_of, *condition, *uid;
	const struct value *names;
	const struct expr *until;
	bool all_namespaces, rollout, absent;
	int64_t count, generation, settled, restarts;
};

/* Which objects: one way of saying it. */
static int
check_objects(const struct wait_args *a, struct err *err)
{
	const bool selects = a->selector != NULL || a->field_selector != NULL;
	struct arena scratch = ARENA_INIT;
	struct kube_name of;
	int rc = 0;

	if ((a->kind != NULL) == (a->pods_of != NULL))
		return err_set(err, ERR_PLAN, "give either kind or pods_of");
	if ((a->name != NULL) + (a->names != NULL) + selects > 1)
		return err_set(err, ERR_PLAN, "only one of name, names and a selector can be given");
	if (a->pods_of != NULL && (a->name != NULL || a->names != NULL || selects))
		return err_set(err, ERR_PLAN, "pods_of says which pods: name, names and selectors are not for it");
	if (a->all_namespaces && (a->namespace != NULL || a->name != NULL || a->names != NULL || a->pods_of != NULL))
		return err_set(err, ERR_PLAN, "all_namespaces is for a selector, or all objects of a kind");
	if (a->pods_of != NULL) {
		rc = kube_ref_parse(&scratch, a->pods_of, a->namespace, &of, err);
		arena_done(&scratch);
		return rc;
	}
	if (a->name != NULL)
		return kube_check(&(struct kube_name){ a->kind, a->namespace, a->name }, err);
	for (uint32_t i = 0; a->names != NULL && a->names->kind == V_LIST && i < a->names->len; i++)
		if (a->names->items[i].kind == V_STRING && kube_check_name(a->kind, a->names->items[i].s, err) < 0)
			return -1;
	if (a->names != NULL && a->names->kind == V_LIST && a->names->len == 0)
		return err_set(err, ERR_PLAN, "names is empty: there is nothing to wait for");
	if (kube_check_kind(a->kind, err) < 0 || (a->namespace != NULL && kube_check_namespace(a->namespace, err) < 0) ||
	    (a->selector != NULL && kube_check_selector("selector", a->selector, err) < 0))
		return -1;
	return a->field_selector != NULL ? kube_check_selector("field_selector", a->field_selector, err) : 0;
}

static int
wait_check(const void *args, struct err *err)
{
	const struct wait_args *a = args;
	char type[256], status[16];

	if (check_objects(a, err) < 0)
		return -1;
	if (a->absent && (a->condition != NULL || a->until != NULL || a->rollout || a->count >= 0 || a->generation > 0))
		return err_set(err, ERR_PLAN, "absent says it all: condition, until, rollout, count and generation are not for it");
	if (a->rollout && a->condition != NULL)
		return err_set(err, ERR_PLAN, "only one of rollout and condition can be given");
	if (a->count >= 0 && (a->name != NULL || a->names != NULL))
		return err_set(err, ERR_PLAN, "count is for a selector or pods_of, not for names");
	if (a->name == NULL && (a->uid != NULL || a->generation > 0))
		return err_set(err, ERR_PLAN, "uid and generation are those of one object: give its name");
	if (a->condition != NULL && !kube_goal_parse(a->condition, type, status))
		return err_set(err, ERR_PLAN, "'%.100s' is not a condition: Ready, or Ready=False", a->condition);
	return 0;
}

static bool
is_pod(const char *kind)
{
	return strcasecmp(kind, "pod") == 0 || strcasecmp(kind, "pods") == 0 || strcasecmp(kind, "po") == 0;
}

/* The pods of a workload, by its selector. 0 with path NULL: not known yet, in a dry-run. */
static int
pods_of(struct step_ctx *cx, const struct wait_args *a, struct kube_until *u, struct err *err)
{
	const struct value *object, *namespace;
	struct kube_name of;
	const char *selector;

	if (kube_ref_parse(step_arena(cx), a->pods_of, a->namespace, &of, err) < 0 ||
	    step_read(cx, &(struct ref){ a->in, kube_ref_path(step_arena(cx), &of, NULL) }, &object, err) < 0)
		return -1;
	u->what = step_text(cx, "pods of %s", kube_ref_text(step_arena(cx), &of));
	u->running = true;
	if (object->kind == V_UNKNOWN || (object->kind == V_NULL && step_is_plan(cx)))
		return 0;
	if (object->kind == V_NULL)
		return err_set(err, ERR_FAILED, "%s is not there, so its pods are not known", kube_ref_text(step_arena(cx), &of));
	selector = kube_object_selector(step_arena(cx), object);
	if (selector == NULL)
		return err_set(err, ERR_FAILED, "%s selects no pods", kube_ref_text(step_arena(cx), &of));
	namespace = kube_object_get(object, "metadata", "namespace");
	u->path = kube_paths_list(step_arena(cx), "Pod", namespace != NULL && namespace->kind == V_STRING ? namespace->s : "", selector, NULL);
	return 0;
}

/* Which objects, as kube_until wants to know it; path NULL as above. */
static int
objects_of(struct step_ctx *cx, const struct wait_args *a, struct kube_until *u, struct err *err)
{
	const struct kube_name name = { a->kind, a->namespace, a->name };
	const char *namespace = a->all_namespaces ? "*" : a->namespace != NULL ? a->namespace : "";

	if (a->pods_of != NULL)
		return pods_of(cx, a, u, err);
	u->running = a->count >= 0 && is_pod(a->kind);
	u->alone = a->name != NULL;
	u->names = a->names;
	if (u->alone) {
		u->path = kube_ref_path(step_arena(cx), &name, NULL);
		u->what = kube_ref_text(step_arena(cx), &name);
		return 0;
	}
	if (a->names == NULL || (a->names->flags & VF_UNKNOWN) == 0)
		u->path = kube_paths_list(step_arena(cx), a->kind, namespace, a->selector, a->field_selector);
	u->what = step_text(cx, "%s%s%s%s%s", a->kind, a->selector != NULL ? " with " : "", a->selector != NULL ? a->selector : "",
			    a->field_selector != NULL ? " with " : "", a->field_selector != NULL ? a->field_selector : "");
	return 0;
}

static int
wait_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct wait_args *a = args;
	struct kube_until u = {
		.in = a->in, .uid = a->uid, .condition = a->condition, .until = a->until, .rollout = a->rollout,
		.restarts = a->restarts, .generation = a->generation, .count = a->absent ? 0 : a->count, .settled = a->settled,
	};
	struct kube_found found = { value_unknown("the end of a wait"), value_unknown("the end of a wait") };

	if (objects_of(cx, a, &u, err) < 0)
		return -1;
	if (u.path == NULL)
		step_assume(cx, "%s will be %s", u.what, u.count == 0 ? "gone" : "so");
	else if (kube_until(cx, &u, &found, err) < 0)
		return -1;
	if (step_output(cx, "count", found.count, err) < 0)
		return -1;
	return step_output(cx, "object", found.object, err);
}

static const struct field wait_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct wait_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster to look at" },
	{ "kind", F_STRING, .offset = offsetof(struct wait_args, kind), .help = "kind of the objects, as kubernetes.get takes it" },
	{ "name", F_STRING, .offset = offsetof(struct wait_args, name), .help = "the one object, or NAMESPACE/NAME" },
	{ "names", F_LIST, F_STRING, offsetof(struct wait_args, names), .help = "several objects: all of them, by one watch" },
	{ "namespace", F_STRING, .offset = offsetof(struct wait_args, namespace),
	  .help = "their namespace; without one the target's own" },
	{ "all_namespaces", F_BOOL, .offset = offsetof(struct wait_args, all_namespaces), .help = "in every namespace" },
	{ "selector", F_STRING, .offset = offsetof(struct wait_args, selector),
	  .help = "a label selector: all that match, and at least one where count does not say otherwise" },
	{ "field_selector", F_STRING, .offset = offsetof(struct wait_args, field_selector), .help = "a field selector, likewise" },
	{ "pods_of", F_STRING, .offset = offsetof(struct wait_args, pods_of),
	  .help = "KIND/NAME or KIND/NAMESPACE/NAME: the pods that this workload or service selects" },
	{ "condition", F_STRING, .offset = offsetof(struct wait_args, condition),
	  .help = "Ready, or Ready=False: a condition in the status, said of what was written last (observedGeneration)" },
	{ "until", F_EXPR, .offset = offsetof(struct wait_args, until),
	  .help = "an expression over value, the object as kubernetes.get shows it, that is to hold" },
	{ "rollout", F_BOOL, .offset = offsetof(struct wait_args, rollout),
	  .help = "every replica is of the newest template and available (Deployment, StatefulSet, DaemonSet), it is complete (Job) "
		  "or ready (Pod); fails at once, with the end of the log, when a pod of it goes on failing" },
	{ "absent", F_BOOL, .offset = offsetof(struct wait_args, absent), .help = "it is gone, or all of them are" },
	{ "uid", F_STRING, .offset = offsetof(struct wait_args, uid),
	  .help = "only the object of this uid counts; another one of its name does not" },
	{ "count", F_INT, .offset = offsetof(struct wait_args, count), .dflt = "-1", .min = -1, .max = 1e9,
	  .help = "how many there are to be (-1: at least one); of pods those that have not ended" },
	{ "generation", F_INT, .offset = offsetof(struct wait_args, generation), .min = 0, .max = 9e18,
	  .help = "metadata.generation of a write that has to have been seen, such as the output of kubernetes.apply" },
	{ "settled", F_DURATION, .offset = offsetof(struct wait_args, settled), .max = 86400e9,
	  .help = "for how long it has to stay so" },
	{ "restarts", F_INT, .offset = offsetof(struct wait_args, restarts), .dflt = "3", .min = 1, .max = 1000,
	  .help = "with rollout: how often a container may end with an error" },
	{ 0 },
};

static const struct field wait_outputs[] = {
	{ "count", F_INT, .help = "how many objects there are" },
	{ "object", F_MAP, .help = "the object that was waited for by its name, as kubernetes.get shows it; null when it is gone" },
	{ 0 },
};

const struct step_type kubernetes_wait_step = {
	.name = "kubernetes.wait",
	.summary = "wait until objects are there, gone, or as wanted, by one watch",
	.inputs = wait_inputs,
	.outputs = wait_outputs,
	.args_size = sizeof(struct wait_args),
	.flags = STEP_READ_ONLY | STEP_WAITS,
	.version = 1,
	.run = wait_run,
	.check = wait_check,
};
