/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.sleep and kubernetes.wake: the workloads of an exported folder come to rest, or start (kube_sleep.h). The folder says
 * which, so a resume asks for the same; how they were is known by the pre-images, and by the folder. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "steps/kube_differ.h"
#include "steps/kube_folder.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/kube_sleep.h"
#include "steps/kube_word.h"

struct sleep_args {
	struct target *in;
	const char *from;
	const struct value *kinds;
	int64_t parallel;
};

/* One walk through the folder, for the objects of one round. */
struct round {
	const struct sleep_args *args;
	const struct kube_folder *folder;
	/* the effect for an object of this round; false: it is of another one */
	bool (*make)(struct step_ctx *cx, const struct round *r, struct arena *a, const struct value *object, struct effect *ret, struct err *err);
	bool last; /* of sleep */
	uint32_t next;
	uint64_t done;
};

static void
put_patch(const struct round *r, struct arena *a, const struct kube_name *name, struct value patch, const char *says, struct effect *ret)
{
	struct pair *body = arena_array(a, 2, sizeof(*body));

	body[0] = (struct pair){ "patch", patch };
	body[1] = (struct pair){ "type", value_str("merge") };
	*ret = (struct effect){ .on = { r->args->in, kube_ref_path(a, name, NULL) }, .verb = "patch", .class = EFFECT_IDEMPOTENT,
		.body = value_map(body, 2), .says = arena_printf(a, "%s %s", says, kube_ref_text(a, name)) };
}

/* Workloads first, then what they may own and what nobody would make again: by then those who would are ending. */
static bool
put_to_sleep(struct step_ctx *cx, const struct round *r, struct arena *a, const struct value *object, struct effect *ret, struct err *err)
{
	const bool gone = kube_sleep_of(object) == KUBE_SLEEP_GONE;
	const struct value *now, *uid, *owners = kube_object_get(object, "metadata", "ownerReferences");
	struct kube_name name;
	struct pair *body;
	struct ref on;

	if (kube_sleep_follows(object) || (gone || owners != NULL) != r->last || kube_object_name(a, object, NULL, &name, err) < 0)
		return false;
	if (!gone) {
		put_patch(r, a, &name, kube_sleep_patch(a, object), "put to sleep", ret);
		return true;
	}
	on = (struct ref){ r->args->in, kube_ref_path(a, &name, NULL) };
	if (step_read(cx, &on, &now, err) < 0)
		return false;
	uid = kube_object_get(now, "metadata", "uid");
	body = arena_array(a, 2, sizeof(*body));
	body[0] = (struct pair){ "missing_ok", value_bool(true) };
	body[1] = (struct pair){ "uid", uid != NULL ? *uid : VALUE_NULL };
	*ret = (struct effect){ .on = on, .verb = "delete", .class = EFFECT_PROBE, .body = value_map(body, uid != NULL ? 2 : 1),
		.says = arena_printf(a, "delete %s, which sleeps by not being there", kube_ref_text(a, &name)) };
	return true;
}

/* The way back from kube_sleep_patch to the folder's fields; what slept by not being there is made. */
static bool
wake_up(struct step_ctx *cx, const struct round *r, struct arena *a, const struct value *object, struct effect *ret, struct err *err)
{
	const bool gone = kube_sleep_of(object) == KUBE_SLEEP_GONE;
	struct value asleep, v;
	struct kube_name name;
	struct pair *body;

	(void)cx;
	if (gone != r->last || kube_sleep_is(object) != gone || kube_object_name(a, object, NULL, &name, err) < 0)
		return false;
	if (!gone) {
		asleep = kube_sleep_asleep(a, object);
		put_patch(r, a, &name, kube_differ_patch(a, &asleep, object), "wake", ret);
		return true;
	}
	v = kube_object_sent(a, object);
	body = arena_array(a, 1, sizeof(*body));
	body[0] = (struct pair){ "object", v };
	*ret = (struct effect){ .on = { r->args->in, kube_ref_path(a, &name, NULL) }, .verb = "create", .class = EFFECT_PROBE,
		.body = value_map(body, 1), .says = arena_printf(a, "create %s", kube_ref_text(a, &name)) };
	return true;
}

static int
next_effect(struct step_ctx *cx, void *data, struct arena *a, struct effect *ret, struct err *err)
{
	struct round *r = data;
	struct value v;

	while (r->next < r->folder->store.n) {
		if (kube_folder_read(cx, r->folder, r->next++, a, &v, err) < 0)
			return -1;
		if (kube_sleep_of(&v) == KUBE_SLEEP_NONE || (r->args->kinds != NULL && !kube_word_in(r->args->kinds, &v)))
			continue;
		if (r->make(cx, r, a, &v, ret, err))
			return 1;
		if (err->kind != ERR_NONE)
			return -1;
	}
	return 0;
}

static int
effect_done(struct step_ctx *cx, void *data, const struct settled *s, struct err *err)
{
	struct round *r = data;

	(void)s, (void)err;
	step_progress(cx, ++r->done, 0, "objects");
	return 0;
}

static int
run_rounds(struct step_ctx *cx, const struct sleep_args *a, bool (*make)(struct step_ctx *, const struct round *, struct arena *,
	   const struct value *, struct effect *, struct err *), struct err *err)
{
	struct kube_folder folder;
	uint64_t done = 0;
	int rc = kube_folder_open(cx, a->from, &folder, err);

	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		struct round r = { .args = a, .folder = &folder, .make = make, .last = i > 0, .done = done };
		const struct many many = { .parallel = (unsigned)a->parallel, .next = next_effect, .done = effect_done, .data = &r };

		rc = step_effects(cx, &many, err);
		done = r.done;
	}
	kube_folder_close(&folder);
	return rc < 0 ? -1 : step_output(cx, "objects", value_int((int64_t)done), err);
}

static int
sleep_check(const void *args, struct err *err)
{
	return kube_check_kinds(((const struct sleep_args *)args)->kinds, err);
}

static int
sleep_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return run_rounds(cx, args, put_to_sleep, err);
}

static int
wake_run(struct step_ctx *cx, const void *args, struct err *err)
{
	return run_rounds(cx, args, wake_up, err);
}

#define KINDS_HELP "only objects of these kinds; without it Deployments, StatefulSets, ReplicaSets, ReplicationControllers, DaemonSets, Jobs, " \
	"CronJobs, bare Pods, webhook configurations, and volumes"

static const struct field sleep_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct sleep_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to write to" },
	{ "from", F_PATH, .offset = offsetof(struct sleep_args, from), .required = true,
	  .help = "a folder that kubernetes.export made: which objects, and how they are when they are awake" },
	{ "kinds", F_LIST, F_STRING, offsetof(struct sleep_args, kinds), .help = KINDS_HELP },
	{ "parallel", F_INT, .offset = offsetof(struct sleep_args, parallel), .dflt = "16", .min = 1, .max = 64,
	  .help = "how many objects are written at a time" },
	{ 0 },
};

static const struct field sleep_outputs[] = {
	{ "objects", F_INT, .help = "how many objects it was" },
	{ 0 },
};

const struct step_type kubernetes_sleep_step = {
	.name = "kubernetes.sleep",
	.summary = "bring the workloads of an exported folder to rest: no replicas, suspended, DaemonSets for no node, bare Pods deleted, "
		   "volumes kept (Retain); the undo puts all of it back as it was",
	.inputs = sleep_inputs,
	.outputs = sleep_outputs,
	.args_size = sizeof(struct sleep_args),
	.version = 1,
	.run = sleep_run,
	.check = sleep_check,
};

const struct step_type kubernetes_wake_step = {
	.name = "kubernetes.wake",
	.summary = "start the workloads of an exported folder where they sleep, as the folder has them",
	.inputs = sleep_inputs,
	.outputs = sleep_outputs,
	.args_size = sizeof(struct sleep_args),
	.version = 1,
	.run = wake_run,
	.check = sleep_check,
};
