/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.logs: what a container has written. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "steps/kube_ref.h"

struct logs_args {
	struct target *in;
	const char *pod, *namespace, *container;
	int64_t tail, since, max;
	bool previous;
};

static int
logs_check(const void *args, struct err *err)
{
	const struct logs_args *a = args;

	if (kube_check(&(struct kube_name){ "Pod", a->namespace, a->pod }, err) < 0)
		return -1;
	return a->container != NULL ? kube_check_name("Pod", a->container, err) : 0;
}

static int
logs_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct logs_args *a = args;
	const struct kube_name pod = { "Pod", a->namespace, a->pod };
	const char *path = step_text(cx, "log%s?max=%" PRIi64, strchr(kube_ref_path(step_arena(cx), &pod, NULL), '/'), a->max);
	const struct value *log, *text;
	int64_t dropped;

	if (a->container != NULL)
		path = step_text(cx, "%s&container=%s", path, a->container);
	if (a->tail > 0)
		path = step_text(cx, "%s&tailLines=%" PRIi64, path, a->tail);
	if (a->since > 0)
		path = step_text(cx, "%s&sinceSeconds=%" PRIi64, path, (a->since + NS_PER_S - 1) / NS_PER_S);
	if (a->previous)
		path = step_text(cx, "%s&previous=true", path);
	if (step_read(cx, &(struct ref){ a->in, path }, &log, err) < 0)
		return -1;
	text = log->kind == V_UNKNOWN ? log : value_get(log, "text");
	dropped = value_get_int(log, "dropped", 0);
	if (step_output(cx, "text", text != NULL ? *text : VALUE_NULL, err) < 0)
		return -1;
	return step_output(cx, "truncated", log->kind == V_UNKNOWN ? *log : value_bool(dropped > 0), err);
}

static const struct field logs_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct logs_args, in), .required = true, .reads = true, .kind = "kubernetes",
	  .help = "the cluster" },
	{ "pod", F_STRING, .offset = offsetof(struct logs_args, pod), .required = true, .help = "the pod's name, or NAMESPACE/NAME" },
	{ "namespace", F_STRING, .offset = offsetof(struct logs_args, namespace),
	  .help = "its namespace; without one the target's own" },
	{ "container", F_STRING, .offset = offsetof(struct logs_args, container),
	  .help = "the container; without one the pod's only one, or its default (annotation "
		  "kubectl.kubernetes.io/default-container)" },
	{ "tail", F_INT, .offset = offsetof(struct logs_args, tail), .min = 1, .max = 1000000,
	  .help = "so many lines from the end (default: all)" },
	{ "since", F_DURATION, .offset = offsetof(struct logs_args, since), .help = "only what was written in this last time" },
	{ "previous", F_BOOL, .offset = offsetof(struct logs_args, previous),
	  .help = "of the container's run before the present one" },
	{ "max", F_SIZE, .offset = offsetof(struct logs_args, max), .dflt = "1MiB", .min = 1024, .max = 64 << 20,
	  .help = "how much of it is kept: the end" },
	{ 0 },
};

static const struct field logs_outputs[] = {
	{ "text", F_BYTES, .help = "what the container wrote" },
	{ "truncated", F_BOOL, .help = "was more than max left out at the beginning" },
	{ 0 },
};

const struct step_type kubernetes_logs_step = {
	.name = "kubernetes.logs",
	.summary = "read what a container has written",
	.inputs = logs_inputs,
	.outputs = logs_outputs,
	.args_size = sizeof(struct logs_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = logs_run,
	.check = logs_check,
};
