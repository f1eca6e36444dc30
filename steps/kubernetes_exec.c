/* SPDX-License-Identifier: Apache-2.0 */
/* The half of the Kubernetes family that works inside pods: commands, and files both ways. */
#include "steps/command.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "steps/kube_ref.h"

#define OUTPUT_MAX 300

struct exec_args {
	struct target *in;
	const char *pod, *namespace, *container, *expect_output;
	struct command command;
};

/* The pod that inputs name; container may be NULL. */
static int
check_pod(const char *namespace, const char *pod, const char *container, struct err *err)
{
	if (kube_check(&(struct kube_name){ "Pod", namespace, pod }, err) < 0)
		return -1;
	return container != NULL ? kube_check_name("Pod", container, err) : 0;
}

/* "in pod web/db-0, container 'db'" */
static const char *
in_pod(struct step_ctx *cx, const char *namespace, const char *pod, const char *container)
{
	const char *text = kube_ref_text(step_arena(cx), &(struct kube_name){ "pod", namespace, pod });

	return container == NULL ? step_text(cx, "in %s", text) : step_text(cx, "in %s, container '%s'", text, container);
}

static int
exec_check(const void *args, struct err *err)
{
	const struct exec_args *a = args;

	if (check_pod(a->namespace, a->pod, a->container, err) < 0 || command_check(&a->command, err) < 0)
		return -1;
	return a->expect_output != NULL && a->expect_output[0] == '\0' ?
		err_set(err, ERR_PLAN, "expect_output is empty, which every output holds") : 0;
}

static bool
exec_is_read_only(const void *args)
{
	return ((const struct exec_args *)args)->command.read_only;
}

static bool
exec_is_repeatable(const void *args)
{
	return command_class(&((const struct exec_args *)args)->command) != EFFECT_OPAQUE;
}

static struct value
exec_body(struct step_ctx *cx, const struct exec_args *a)
{
	struct pair *pairs = arena_array(step_arena(cx), 7, sizeof(*pairs));
	size_t n = command_body(&a->command, pairs);

	if (a->container != NULL)
		pairs[n++] = (struct pair){ "container", value_str(a->container) };
	if (a->expect_output != NULL)
		pairs[n++] = (struct pair){ "expect_output", value_str(a->expect_output) };
	return value_map(pairs, n);
}

/* It ended as expected, and has not said what it was to say: some programs tell their failure by words alone. */
static int
not_said(const struct reply *reply, const struct effect *e, const char *wanted, struct err *err)
{
	const struct value *said = value_get(&reply->value, "stdout");
	struct arena a = ARENA_INIT;
	const char *text = "", *end;
	size_t len = 0;

	if (said != NULL && said->kind == V_STRING) {
		len = said->len;
		while (len > 0 && said->s[len - 1] == '\n')
			len--;
		end = said->s + len;
		len = len > OUTPUT_MAX ? OUTPUT_MAX : len;
		text = text_safe(&a, end - len, len, 0);
	}
	err_set(err, ERR_FAILED, "the command ended well, but its output does not hold '%s'%s%s",
		text_safe(&a, wanted, strlen(wanted), 100), len > 0 ? "; it ends with: " : "", text);
	err->retryable = e->read_only || e->class != EFFECT_OPAQUE;
	arena_done(&a);
	return -1;
}

/* A container's runtime tells of an end by signal N as of exit code 128 + N. */
static int
exec_accept(const struct reply *reply, const struct effect *e, struct err *err)
{
	const struct exec_args *a = e->accept_data;
	const int64_t code = value_get_int(&reply->value, "code", -1);
	const struct value *found = value_get(&reply->value, "found");
	const char *why = value_get_str(&reply->value, "why", NULL);

	if (command_expects(&a->command, code))
		return found == NULL || value_true(found) ? 0 : not_said(reply, e, a->expect_output, err);
	command_failed(reply, e, code, code > 128 && code < 160 ? code - 128 : 0, err);
	return why != NULL ? err_wrap(err, "%s", why) : -1;
}

static int
exec_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct exec_args *a = args;
	const struct kube_name pod = { "Pod", a->namespace, a->pod };
	const struct effect e = {
		.on = { a->in, kube_ref_path(step_arena(cx), &pod, "exec") },
		.verb = "exec",
		.body = exec_body(cx, a),
		.class = command_class(&a->command),
		.says = command_says(cx, a->command.argv, in_pod(cx, a->namespace, a->pod, a->container)),
		.accept = exec_accept,
		.accept_data = a,
		.read_only = a->command.read_only,
	};
	const struct value *reply;

	if (a->command.read_only && (e.body.flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the command is not known in full: %s", e.says);
	if (step_effect(cx, &e, &reply, err) < 0)
		return -1;
	return command_put_outputs(cx, reply, err);
}

/* reading: the step changes nothing in the cluster; within: it writes one thing in the container, alone. */
#define POD_INPUTS(type, reading, within)                                                                                      \
	{ "in", F_TARGET, .offset = offsetof(type, in), .required = true, .kind = "kubernetes", .reads = (reading),            \
	  .help = "the cluster", .object = (within) },                                                                         \
	{ "pod", F_STRING, .offset = offsetof(type, pod), .required = true, .help = "the pod's name, or NAMESPACE/NAME",       \
	  .object = (within) },                                                                                                \
	{ "namespace", F_STRING, .offset = offsetof(type, namespace),                                                          \
	  .help = "its namespace; without one the target's own", .object = (within) },                                         \
	{ "container", F_STRING, .offset = offsetof(type, container),                                                          \
	  .help = "the container; without one the pod's only one, or its default (annotation "                                 \
		  "kubectl.kubernetes.io/default-container)", .object = (within) }

static const struct field exec_inputs[] = {
	POD_INPUTS(struct exec_args, false, false),
	COMMAND_INPUTS(struct exec_args),
	{ "expect_output", F_STRING, .offset = offsetof(struct exec_args, expect_output),
	  .help = "what stdout or stderr has to hold, for programs that tell a failure by words alone" },
	{ 0 },
};

const struct step_type kubernetes_exec_step = {
	.name = "kubernetes.exec",
	.summary = "run a command in a container",
	.inputs = exec_inputs,
	.outputs = command_outputs,
	.args_size = sizeof(struct exec_args),
	.version = 1,
	.run = exec_run,
	.check = exec_check,
	.is_read_only = exec_is_read_only,
	.is_repeatable = exec_is_repeatable,
};

struct from_args {
	struct target *in;
	const char *pod, *namespace, *container, *path, *to, *mode;
};

static int
check_remote(const char *path, struct err *err)
{
	const size_t len = strlen(path);

	if (path[0] != '/' || path[len - 1] == '/')
		return err_set(err, ERR_PLAN, "path '%.200s' is not that of a file in a container: it has to begin with '/', and not "
			       "to end with one", path);
	return 0;
}

static int
from_check(const void *args, struct err *err)
{
	const struct from_args *a = args;

	return check_pod(a->namespace, a->pod, a->container, err) < 0 ? -1 : check_remote(a->path, err);
}

/* "0644" for "644" too. */
static const char *
octal(struct step_ctx *cx, const char *mode)
{
	return step_text(cx, "%s%s", strlen(mode) == 3 ? "0" : "", mode);
}

static int
put_file_outputs(struct step_ctx *cx, const struct value *file, const char *path, const char *as, struct err *err)
{
	static const char *const names[] = { "size", "sha256" };

	if (step_output(cx, as, value_str(path), err) < 0)
		return -1;
	for (size_t i = 0; i < countof(names); i++) {
		const struct value *v = file->kind == V_UNKNOWN ? file : value_get(file, names[i]);

		if (step_output(cx, names[i], v != NULL ? *v : VALUE_NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int
from_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct from_args *a = args;
	const struct kube_name pod = { "Pod", a->namespace, a->pod };
	struct pair body[] = {
		{ "pod", value_str(kube_ref_path(step_arena(cx), &pod, NULL)) },
		{ "file", value_str(a->path) },
		{ "mode", value_str(octal(cx, a->mode)) },
		{ "container", a->container != NULL ? value_str(a->container) : VALUE_NULL },
	};
	const struct effect e = {
		.on = { a->in, step_text(cx, "here/%s", a->to) },
		.verb = "fetch",
		.body = value_map(body, countof(body)),
		.class = EFFECT_PROBE,
		.says = step_text(cx, "copy '%s' %s to '%s'", text_safe(step_arena(cx), a->path, strlen(a->path), 0),
				  in_pod(cx, a->namespace, a->pod, a->container), text_safe(step_arena(cx), a->to, strlen(a->to), 0)),
	};
	const struct value *after;

	if (step_effect(cx, &e, &after, err) < 0)
		return -1;
	return put_file_outputs(cx, after, a->to, "file", err);
}

static const struct field from_inputs[] = {
	POD_INPUTS(struct from_args, true, false),
	{ "path", F_STRING, .offset = offsetof(struct from_args, path), .required = true,
	  .help = "the file in the container; links are followed. The container needs sh, cat, sha256sum and stat" },
	{ "to", F_PATH, .offset = offsetof(struct from_args, to), .required = true, .object = true,
	  .help = "the file to make on this machine; its folder must exist, and a file that is there is not replaced" },
	{ "mode", F_STRING, .offset = offsetof(struct from_args, mode), .dflt = "0600", .pattern = "^0?[0-7]{3}$",
	  .help = "permissions in octal" },
	{ 0 },
};

static const struct field from_outputs[] = {
	{ "file", F_STRING, .help = "the file on this machine" },
	{ "size", F_INT, .help = "its size in bytes" },
	{ "sha256", F_STRING, .help = "SHA-256 of the content, in hex, the same at both ends" },
	{ 0 },
};

const struct step_type kubernetes_copy_from_step = {
	.name = "kubernetes.copy-from",
	.summary = "copy a file out of a container",
	.inputs = from_inputs,
	.outputs = from_outputs,
	.args_size = sizeof(struct from_args),
	.version = 1,
	.run = from_run,
	.check = from_check,
};

struct to_args {
	struct target *in;
	const char *pod, *namespace, *container, *path, *from, *mode;
	bool replace;
};

static int
to_check(const void *args, struct err *err)
{
	const struct to_args *a = args;

	return check_pod(a->namespace, a->pod, a->container, err) < 0 ? -1 : check_remote(a->path, err);
}

static int
to_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct to_args *a = args;
	const struct kube_name pod = { "Pod", a->namespace, a->pod };
	const char *object = kube_ref_path(step_arena(cx), &pod, NULL);
	const struct value *source, *after;
	struct pair body[] = {
		{ "from", value_str(a->from) },
		{ "sha256", VALUE_NULL },
		{ "mode", value_str(octal(cx, a->mode)) },
		{ "replace", value_bool(a->replace) },
	};
	struct effect e = {
		.on = { a->in, step_text(cx, "file%s/%s%s", strchr(object, '/'), a->container != NULL ? a->container : "", a->path) },
		.verb = "send",
		.class = EFFECT_PROBE,
		.says = step_text(cx, "copy '%s' to '%s' %s", text_safe(step_arena(cx), a->from, strlen(a->from), 0),
				  text_safe(step_arena(cx), a->path, strlen(a->path), 0),
				  in_pod(cx, a->namespace, a->pod, a->container)),
	};

	if (step_read(cx, &(struct ref){ a->in, step_text(cx, "here/%s", a->from) }, &source, err) < 0)
		return -1;
	if (source->kind == V_NULL)
		return err_set(err, ERR_FAILED, "'%s' does not exist", a->from);
	body[1].v = source->kind == V_MAP ? *value_get(source, "sha256") : *source;
	e.body = value_map(body, countof(body));
	if (step_effect(cx, &e, &after, err) < 0)
		return -1;
	return put_file_outputs(cx, after, a->path, "path", err);
}

static const struct field to_inputs[] = {
	POD_INPUTS(struct to_args, false, true),
	{ "from", F_PATH, .offset = offsetof(struct to_args, from), .required = true, .help = "the file on this machine" },
	{ "path", F_STRING, .offset = offsetof(struct to_args, path), .required = true, .object = true,
	  .help = "the file to make in the container, all at once; its folder must exist. The container needs sh, cat, "
		  "sha256sum, stat, chmod, mv and rm" },
	{ "mode", F_STRING, .offset = offsetof(struct to_args, mode), .dflt = "0644", .pattern = "^0?[0-7]{3}$",
	  .help = "permissions in octal" },
	{ "replace", F_BOOL, .offset = offsetof(struct to_args, replace),
	  .help = "another file that is there is replaced; nothing of it is kept, so that cannot be taken back" },
	{ 0 },
};

static const struct field to_outputs[] = {
	{ "path", F_STRING, .help = "the file in the container" },
	{ "size", F_INT, .help = "its size in bytes" },
	{ "sha256", F_STRING, .help = "SHA-256 of the content, in hex, the same at both ends" },
	{ 0 },
};

const struct step_type kubernetes_copy_to_step = {
	.name = "kubernetes.copy-to",
	.summary = "copy a file into a container",
	.inputs = to_inputs,
	.outputs = to_outputs,
	.args_size = sizeof(struct to_args),
	.version = 1,
	.run = to_run,
	.check = to_check,
};
