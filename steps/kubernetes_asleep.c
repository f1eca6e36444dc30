/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.asleep and kubernetes.awake: wait until the workloads of an exported folder rest, with all their pods gone, or run.
 * One after the other: what takes its time for one, takes it for all. */
#include "step.h"

#include <string.h>

#include "base/clock.h"
#include "steps/kube_folder.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/kube_sleep.h"
#include "steps/kube_until.h"
#include "steps/kube_word.h"
#include "steps/target/kube_paths.h"

struct rest_args {
	struct target *in;
	const char *from;
	const struct value *kinds;
	int64_t restarts;
};

/* A workload of the folder that is looked at. */
struct one {
	const struct value *object;
	struct ref on;
	const char *text;
};

/* ---- asleep ---- */

static int
wait_gone(struct step_ctx *cx, struct kube_until u, struct err *err)
{
	struct kube_found found;

	u.count = 0;
	return kube_until(cx, &u, &found, err);
}

/* Until a CronJob has no Job under way: those that it made before it was suspended run to their end. */
static int
wait_idle(struct step_ctx *cx, const struct one *o, const struct value *now, struct err *err)
{
	for (;;) {
		const struct value *active = kube_object_get(now, "status", "active");

		if (active == NULL || active->kind != V_LIST || active->len == 0)
			return 0;
		if (step_is_plan(cx)) {
			step_assume(cx, "%s has no Job under way then", o->text);
			return 0;
		}
		if (step_sleep(cx, NS_PER_S, err) < 0)
			return err_wrap(err, "%s has a Job under way", o->text);
		if (step_read(cx, &o->on, &now, err) < 0)
			return -1;
	}
}

/* Is it attached to a node? */
static int
is_attached(struct step_ctx *cx, const struct rest_args *a, const char *volume, bool *ret, struct err *err)
{
	const char *path = kube_paths_list(step_arena(cx), "VolumeAttachment.storage.k8s.io", "", NULL, NULL);
	struct query q = { .target = a->in, .from = { path, strlen(path) } };
	struct arena scratch = ARENA_INIT;
	struct page page = { .more = true };
	int rc = 0;

	for (*ret = false; rc == 0 && page.more && !*ret; q.resume = page.resume) {
		rc = step_list(cx, &q, &page, err);
		for (size_t i = 0; rc == 0 && i < page.n && !*ret; i++) {
			struct value v;

			rc = value_parse_json(&scratch, page.items[i].value.p, page.items[i].value.len, &v, err);
			*ret = rc == 0 && strcmp(value_get_str(kube_object_get(&v, "spec", "source"), "persistentVolumeName", ""), volume) == 0;
			arena_reset(&scratch);
		}
	}
	arena_done(&scratch);
	return rc;
}

static int
wait_released(struct step_ctx *cx, const struct rest_args *a, const struct one *o, struct err *err)
{
	const char *name = value_get_str(value_get(o->object, "metadata"), "name", "");
	bool attached;

	for (;;) {
		if (is_attached(cx, a, name, &attached, err) < 0)
			return -1;
		if (!attached)
			return 0;
		if (step_is_plan(cx)) {
			step_assume(cx, "%s is attached to no node then", o->text);
			return 0;
		}
		if (step_sleep(cx, NS_PER_S, err) < 0)
			return err_wrap(err, "%s is attached to a node", o->text);
	}
}

static int
wait_asleep(struct step_ctx *cx, const struct rest_args *a, const struct one *o, struct err *err)
{
	const struct value *now, *namespace = kube_object_get(o->object, "metadata", "namespace");
	const char *selector;

	if (kube_sleep_follows(o->object))
		return 0;
	if (kube_sleep_of(o->object) == KUBE_SLEEP_GONE)
		return wait_gone(cx, (struct kube_until){ .in = a->in, .what = o->text, .path = o->on.path, .alone = true, .going = true }, err);
	if (step_read(cx, &o->on, &now, err) < 0)
		return -1;
	if (now->kind == V_UNKNOWN) {
		step_assume(cx, "%s sleeps then", o->text);
		return 0;
	}
	if (now->kind != V_MAP)
		return err_set(err, ERR_FAILED, "%s is not there", o->text);
	if (kube_sleep_ended(now))
		return err_set(err, ERR_FAILED, "%s has run to its end since it was exported, and would run again elsewhere", o->text);
	if (!kube_sleep_is(now))
		return err_set(err, ERR_FAILED, "%s is awake: somebody has changed it since it was put to sleep", o->text);
	if (kube_word_is(now, "", "PersistentVolume"))
		return wait_released(cx, a, o, err);
	selector = kube_object_selector(step_arena(cx), now);
	if (kube_word_is(now, "batch", "CronJob"))
		return wait_idle(cx, o, now, err);
	if (selector == NULL || namespace == NULL || namespace->kind != V_STRING)
		return 0;
	return wait_gone(cx, (struct kube_until){ .in = a->in, .what = step_text(cx, "pods of %s", o->text), .running = true,
			.path = kube_paths_list(step_arena(cx), "Pod", namespace->s, selector, NULL) }, err);
}

/* ---- awake ---- */

/* Does it come to an end, or has it no rollout? */
static bool
is_endless(const struct value *object)
{
	static const char *const kinds[] = { "Deployment", "StatefulSet", "DaemonSet" };
	const struct value *policy = kube_object_get(object, "spec", "restartPolicy");

	for (size_t i = 0; i < countof(kinds); i++)
		if (kube_word_is(object, "apps", kinds[i]))
			return true;
	return kube_word_is(object, "", "Pod") && (policy == NULL || policy->kind != V_STRING || strcmp(policy->s, "Always") == 0);
}

static int
wait_awake(struct step_ctx *cx, const struct rest_args *a, const struct one *o, struct err *err)
{
	const struct kube_until u = { .in = a->in, .what = o->text, .path = o->on.path, .alone = true, .rollout = true, .restarts = a->restarts,
		.count = -1 };
	struct kube_found found;

	if (!is_endless(o->object) || (kube_sleep_of(o->object) == KUBE_SLEEP_FIELDS && kube_sleep_is(o->object)))
		return 0;
	return kube_until(cx, &u, &found, err);
}

/* ---- both ---- */

static int
walk(struct step_ctx *cx, const struct rest_args *a, int (*wait)(struct step_ctx *, const struct rest_args *, const struct one *, struct err *),
     struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct kube_folder folder;
	struct kube_name name;
	struct value v;
	int64_t n = 0;
	int rc = kube_folder_open(cx, a->from, &folder, err);

	for (uint32_t i = 0; rc == 0 && i < folder.store.n; i++) {
		arena_reset(&scratch);
		rc = kube_folder_read(cx, &folder, i, &scratch, &v, err);
		if (rc < 0 || kube_sleep_of(&v) == KUBE_SLEEP_NONE || (a->kinds != NULL && !kube_word_in(a->kinds, &v)))
			continue;
		rc = kube_object_name(&scratch, &v, NULL, &name, err);
		if (rc == 0)
			rc = wait(cx, a, &(struct one){ &v, { a->in, kube_ref_path(&scratch, &name, NULL) }, kube_ref_text(&scratch, &name) }, err);
		step_progress(cx, (uint64_t)++n, 0, "objects");
	}
	kube_folder_close(&folder);
	arena_done(&scratch);
	return rc < 0 ? -1 : step_output(cx, "objects", value_int(n), err);
}

static int
rest_check(const void *args, struct err *err)
{
	return kube_check_kinds(((const struct rest_args *)args)->kinds, err);
}

static int
asleep_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return walk(cx, args, wait_asleep, err);
}

static int
awake_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return walk(cx, args, wait_awake, err);
}

#define INPUTS \
	{ "in", F_TARGET, .offset = offsetof(struct rest_args, in), .required = true, .kind = "kubernetes", .help = "the cluster to look at" }, \
	{ "from", F_PATH, .offset = offsetof(struct rest_args, from), .required = true, .help = "a folder that kubernetes.export made: which objects" }, \
	{ "kinds", F_LIST, F_STRING, offsetof(struct rest_args, kinds), .help = "only objects of these kinds, as kubernetes.sleep takes them" }

static const struct field asleep_inputs[] = { INPUTS, { 0 } };

static const struct field awake_inputs[] = {
	INPUTS,
	{ "restarts", F_INT, .offset = offsetof(struct rest_args, restarts), .dflt = "3", .min = 1, .max = 1000,
	  .help = "how often a container may end with an error" },
	{ 0 },
};

static const struct field rest_outputs[] = {
	{ "objects", F_INT, .help = "how many objects were looked at" },
	{ 0 },
};

const struct step_type kubernetes_asleep_step = {
	.name = "kubernetes.asleep",
	.summary = "wait until what kubernetes.sleep put to sleep has no pods left, and volumes are attached to no node; fail where it is awake again",
	.inputs = asleep_inputs,
	.outputs = rest_outputs,
	.args_size = sizeof(struct rest_args),
	.flags = STEP_READ_ONLY | STEP_WAITS,
	.version = 1,
	.run = asleep_run,
	.check = rest_check,
};

const struct step_type kubernetes_awake_step = {
	.name = "kubernetes.awake",
	.summary = "wait until the workloads that kubernetes.wake started are up; Jobs and Pods that come to an end are not waited for",
	.inputs = awake_inputs,
	.outputs = rest_outputs,
	.args_size = sizeof(struct rest_args),
	.flags = STEP_READ_ONLY | STEP_WAITS,
	.version = 1,
	.run = awake_run,
	.check = rest_check,
};
