/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.job makes a Job, follows it to its end and takes its result. What it has made it knows by name and uid, so a resume finds
 * it again and never makes a second one beside it. How it ended is written on the Job before it is removed, which is an effect
 * with an image: so the end is known when the Job is not there any more. A Job that has failed stays, to be looked at; the next
 * walk (a retry, a resume) replaces it. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/kube_until.h"
#include "steps/target/kube_paths.h"

#define ENDED "wherry/ended" /* annotation: complete or failed */
#define PAGE 50              /* pods of a Job that are looked at */
#define TTL_MIN 600          /* seconds: a resume has to find it */

struct job_args {
	struct target *in;
	const struct value *object;
	const char *namespace, *container;
	int64_t max;
	bool remove;
};

/* The Job at hand. */
struct job {
	const struct job_args *args;
	struct kube_name name;
	const char *path, *text;
	const char *uid;      /* NULL: not known, in a dry-run */
	struct value object;  /* as it was seen last; null: it is not there, or another one is */
};

static int
job_check(const void *args, struct err *err)
{
	const struct job_args *a = args;
	struct arena scratch = ARENA_INIT;
	const struct value *ttl = kube_object_get(a->object, "spec", "ttlSecondsAfterFinished");
	struct err unknown = ERR_INIT;
	struct kube_name name;
	int rc = kube_object_name(&scratch, a->object, a->namespace, &name, &unknown);

	if (rc < 0 && unknown.kind != ERR_PREDICTED)
		*err = unknown;
	else if (rc == 0 && strcmp(name.kind, "Job.v1.batch") != 0)
		rc = err_set(err, ERR_PLAN, "the object is of kind '%.100s', not a Job of batch/v1", name.kind);
	else if (ttl != NULL && ttl->kind == V_INT && ttl->i < TTL_MIN)
		rc = err_set(err, ERR_PLAN, "ttlSecondsAfterFinished is %" PRIi64 ", and a resume has to find the Job: at least %d, or leave it out and "
			     "say remove: true", ttl->i, TTL_MIN);
	else
		rc = 0;
	arena_done(&scratch);
	return rc;
}

/* The object with who made it among its annotations. */
static struct value
marked(struct step_ctx *cx, const struct value *object)
{
	const struct value sent = kube_object_sent(step_arena(cx), object), *meta = value_get(&sent, "metadata");
	const struct value *own = meta != NULL ? value_get(meta, "annotations") : NULL;
	struct pair *all = arena_array(step_arena(cx), (own != NULL ? own->len : 0) + 2, sizeof(*all));
	struct pair *with = arena_array(step_arena(cx), (meta != NULL ? meta->len : 0) + 1, sizeof(*with));
	size_t n = 0, m = 0;

	for (uint32_t i = 0; own != NULL && own->kind == V_MAP && i < own->len; i++)
		if (strcmp(own->pairs[i].key, "wherry/run") != 0 && strcmp(own->pairs[i].key, "wherry/step") != 0)
			all[n++] = own->pairs[i];
	all[n++] = (struct pair){ "wherry/run", value_str(step_run_id(cx)) };
	all[n++] = (struct pair){ "wherry/step", value_str(step_path(cx)) };
	for (uint32_t i = 0; meta != NULL && meta->kind == V_MAP && i < meta->len; i++)
		if (strcmp(meta->pairs[i].key, "annotations") != 0)
			with[m++] = meta->pairs[i];
	with[m++] = (struct pair){ "annotations", value_map(all, n) };
	return kube_object_with(step_arena(cx), &sent, "metadata", value_map(with, m));
}

/* ---- effects ---- */

static int
ask(struct step_ctx *cx, const struct job *j, const char *verb, enum effect_class class, struct value body, const char *says,
    const struct value **ret_after, struct err *err)
{
	return step_effect(cx, &(struct effect){ .on = { j->args->in, j->path }, .verb = verb, .body = body, .class = class, .says = says },
			   ret_after, err);
}

static int
create(struct step_ctx *cx, struct job *j, struct err *err)
{
	const struct value body = VALUE_MAP(step_arena(cx), { "object", marked(cx, j->args->object) }), *after, *uid, *run;
	struct err ignored = ERR_INIT;

	if (ask(cx, j, "create", EFFECT_PROBE, body, step_text(cx, "run %s", j->text), &after, err) < 0) {
		if (err->kind != ERR_FAILED || step_read(cx, &(struct ref){ j->args->in, j->path }, &after, &ignored) < 0 || after->kind != V_MAP)
			return -1;
		run = value_get(kube_object_get(after, "metadata", "annotations"), "wherry/run");
		(void)err_set(err, ERR_FAILED, "%s is there already%s%s: what it has done, or does, is not this step's", j->text,
			      run != NULL && run->kind == V_STRING ? ", made by run " : "",
			      run != NULL && run->kind == V_STRING ? step_text(cx, "%s", run->s) : "");
		return err_next(err, "remove it first, or give this one another name");
	}
	uid = kube_object_get(after, "metadata", "uid");
	j->uid = uid != NULL && uid->kind == V_STRING ? uid->s : NULL;
	return 0;
}

/* Write on the Job how it has ended; in a later walk: what was written. */
static int
mark(struct step_ctx *cx, struct job *j, const char *how, const char **ret, struct value *ret_object, struct err *err)
{
	struct arena *a = step_arena(cx);
	const struct value annotations = VALUE_MAP(a, { ENDED, value_str(how) });
	const struct value patch = VALUE_MAP(a, { "metadata", VALUE_MAP(a, { "annotations", annotations }) });
	const struct value body = VALUE_MAP(a, { "type", value_str("merge") }, { "patch", patch },
					    { "uid", j->uid != NULL ? value_str(j->uid) : VALUE_NULL });
	const struct value *after;

	if (ask(cx, j, "patch", EFFECT_IDEMPOTENT, body, step_text(cx, "write on %s that it is %s", j->text, how), &after, err) < 0) {
		if (j->object.kind != V_NULL || err->kind != ERR_FAILED)
			return -1;
		(void)err_set(err, ERR_FAILED, "%s is gone, and it was not wherry that removed it: how it ended is not known", j->text);
		return err_next(err, "take back what this run did: wherry rollback %s\nif its work is done, leave this step out: wherry resume %s --plan FILE",
				step_run_id(cx), step_run_id(cx));
	}
	*ret = value_get_str(kube_object_get(after, "metadata", "annotations"), ENDED, how);
	*ret_object = *after;
	return 0;
}

static int
take_away(struct step_ctx *cx, const struct job *j, struct err *err)
{
	const struct value body = VALUE_MAP(step_arena(cx), { "propagation", value_str("background") },
					    { "uid", j->uid != NULL ? value_str(j->uid) : VALUE_NULL });

	return ask(cx, j, "delete", EFFECT_PROBE, body, step_text(cx, "remove %s", j->text), NULL, err);
}

/* ---- its result ---- */

/* A pod of it that has done its work, or null. */
static int
find_pod(struct step_ctx *cx, const struct job *j, struct value *ret, struct err *err)
{
	const char *selector = kube_object_selector(step_arena(cx), &j->object);
	const struct value *namespace = kube_object_get(&j->object, "metadata", "namespace");
	const char *path = kube_paths_list(step_arena(cx), "Pod", namespace != NULL && namespace->kind == V_STRING ? namespace->s : "", selector,
					   "status.phase=Succeeded");
	const struct query q = { .target = j->args->in, .from = { path, strlen(path) }, .limit = PAGE };
	struct page page;

	*ret = VALUE_NULL;
	if (selector == NULL)
		return 0;
	if (step_list(cx, &q, &page, err) < 0)
		return -1;
	if (page.n == 0)
		return 0;
	return value_parse_json(step_arena(cx), page.items[page.n - 1].value.p, page.items[page.n - 1].value.len, ret, err);
}

/* What the container says of its own end (terminationMessagePath). */
static const char *
message_of(const struct value *pod, const char *container)
{
	const struct value *list = kube_object_get(pod, "status", "containerStatuses");

	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (strcmp(value_get_str(&list->items[i], "name", ""), container) == 0)
			return value_get_str(kube_object_get(&list->items[i], "state", "terminated"), "message", "");
	return "";
}

static int
put_result(struct step_ctx *cx, const struct job *j, struct err *err)
{
	const struct value unknown = value_unknown("the Job has not run"), *list, *log, *meta;
	struct value pod = VALUE_NULL, text = value_str(""), message = value_str(""), truncated = value_bool(false);
	const char *container = j->args->container, *path;

	if (step_is_plan(cx))
		text = message = truncated = unknown;
	else if (j->object.kind == V_MAP && find_pod(cx, j, &pod, err) < 0)
		return -1;
	list = kube_object_get(&pod, "spec", "containers");
	if (container == NULL && list != NULL && list->kind == V_LIST && list->len > 0)
		container = value_get_str(&list->items[0], "name", "");
	if (container != NULL && pod.kind == V_MAP) {
		meta = value_get(&pod, "metadata");
		path = arena_printf(step_arena(cx), "log/%s/%s?max=%" PRIi64 "&container=%s", value_get_str(meta, "namespace", ""),
				    value_get_str(meta, "name", ""), j->args->max, container);
		if (step_read(cx, &(struct ref){ j->args->in, path }, &log, err) < 0)
			return -1;
		text = value_get(log, "text") != NULL ? *value_get(log, "text") : text;
		truncated = value_bool(value_get_int(log, "dropped", 0) > 0);
		message = value_str(message_of(&pod, container));
	}
	if (step_output(cx, "log", text, err) < 0 || step_output(cx, "truncated", truncated, err) < 0)
		return -1;
	return step_output(cx, "message", message, err);
}

static int
put_object(struct step_ctx *cx, const struct job *j, const struct value *object, struct err *err)
{
	const struct value *succeeded = kube_object_get(object, "status", "succeeded"), none = value_int(0);

	if (step_output(cx, "object", kube_object_output(step_arena(cx), object, j->args->object), err) < 0 ||
	    step_output(cx, "uid", j->uid != NULL ? value_str(j->uid) : value_unknown("the server gives it"), err) < 0)
		return -1;
	return step_output(cx, "succeeded", object->kind == V_UNKNOWN ? *object : succeeded != NULL ? *succeeded : none, err);
}

/* ---- the walk ---- */

/* The Job that was made, as it is now. ret_ended: how an earlier walk says that it ended; NULL: none does. */
static int
look(struct step_ctx *cx, struct job *j, const char **ret_ended, struct err *err)
{
	const struct value *now, *uid;

	*ret_ended = NULL;
	if (step_read(cx, &(struct ref){ j->args->in, j->path }, &now, err) < 0)
		return -1;
	uid = kube_object_get(now, "metadata", "uid");
	j->object = *now;
	if (j->uid != NULL && (uid == NULL || uid->kind != V_STRING || strcmp(uid->s, j->uid) != 0))
		j->object = VALUE_NULL;
	*ret_ended = value_get_str(kube_object_get(&j->object, "metadata", "annotations"), ENDED, NULL);
	return 0;
}

/* To its end. */
static int
follow(struct step_ctx *cx, struct job *j, struct err *err)
{
	struct kube_until u = { .in = j->args->in, .what = j->text, .path = j->path, .alone = true, .uid = j->uid, .rollout = true,
				.restarts = 1, .count = -1 };
	struct kube_found found;
	struct value ignored;
	const char *how;
	struct err why;

	if (kube_until(cx, &u, &found, err) == 0) {
		j->object = found.object;
		return 0;
	}
	if (err->kind != ERR_FAILED)
		return -1;
	why = *err;
	if (mark(cx, j, "failed", &how, &ignored, err) < 0)
		return -1;
	*err = why;
	return err_next(err, "once what it failed of is mended, to run another one in its place: wherry resume %s", step_run_id(cx));
}

/* One that an earlier walk has seen the end of. 1: it has done its work; 0: it failed, and is out of the way now. */
static int
pass(struct step_ctx *cx, struct job *j, const char *ended, struct value *ret_object, struct err *err)
{
	const bool there = j->object.kind == V_MAP;
	struct kube_found found;
	const char *how;

	if (mark(cx, j, ended != NULL ? ended : "failed", &how, ret_object, err) < 0)
		return -1;
	if (strcmp(how, "complete") == 0)
		return 1;
	if (take_away(cx, j, err) < 0)
		return -1;
	return !there ? 0 : kube_until(cx, &(struct kube_until){ .in = j->args->in, .what = j->text, .path = j->path, .alone = true, .uid = j->uid,
						.going = true, .count = 0 }, &found, err);
}

static int
job_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct job_args *a = args;
	struct job j = { .args = a };
	const char *ended, *how;
	struct value object;
	int done = 0;

	if (kube_object_name(step_arena(cx), a->object, a->namespace, &j.name, err) < 0)
		return -1;
	j.path = kube_ref_path(step_arena(cx), &j.name, NULL);
	j.text = kube_ref_text(step_arena(cx), &j.name);
	do {
		if (create(cx, &j, err) < 0 || look(cx, &j, &ended, err) < 0)
			return -1;
		if (j.object.kind != V_NULL && ended == NULL)
			break;
		done = pass(cx, &j, ended, &object, err);
		if (done < 0)
			return -1;
	} while (!done);
	if (!done) {
		if (follow(cx, &j, err) < 0)
			return -1;
		object = j.object;
	}
	if (put_result(cx, &j, err) < 0 || put_object(cx, &j, &object, err) < 0)
		return -1;
	if (!a->remove)
		return 0;
	return (!done && mark(cx, &j, "complete", &how, &object, err) < 0) ? -1 : take_away(cx, &j, err);
}

static const struct field job_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct job_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to run it on" },
	{ "object", F_MAP, .offset = offsetof(struct job_args, object), .required = true, .secret = true, .object = true,
	  .help = "the Job, of batch/v1 and with a metadata.name that nothing has yet; may hold secrets. How often its pods may fail, and how "
		  "long they may take, are its backoffLimit and activeDeadlineSeconds" },
	{ "namespace", F_STRING, .offset = offsetof(struct job_args, namespace),
	  .help = "its namespace, where it names none; without it the target's own" },
	{ "container", F_STRING, .offset = offsetof(struct job_args, container),
	  .help = "whose log and message are its result (default: the first one)" },
	{ "max", F_SIZE, .offset = offsetof(struct job_args, max), .dflt = "64KiB", .min = 1024, .max = 64 << 20,
	  .help = "how much of the log is kept: the end" },
	{ "remove", F_BOOL, .offset = offsetof(struct job_args, remove), .help = "remove it and its pods once it has done its work" },
	{ 0 },
};

static const struct field job_outputs[] = {
	{ "log", F_BYTES, .help = "what the container wrote, of a pod that did its work; empty where the pod is gone" },
	{ "truncated", F_BOOL, .help = "was more than max left out at the beginning" },
	{ "message", F_STRING, .help = "what the container left in its terminationMessagePath (/dev/termination-log)" },
	{ "succeeded", F_INT, .help = "pods that did their work" },
	{ "uid", F_STRING, .help = "the Job's uid" },
	{ "object", F_MAP, .help = "the Job as it ended, as kubernetes.apply shows it" },
	{ 0 },
};

const struct step_type kubernetes_job_step = {
	.name = "kubernetes.job",
	.summary = "run a Job to its end and take its log; found again by a resume, never made twice; one that has failed is replaced when the "
		   "step is done again; the undo removes it",
	.inputs = job_inputs,
	.outputs = job_outputs,
	.args_size = sizeof(struct job_args),
	.version = 1,
	.run = job_run,
	.check = job_check,
};
