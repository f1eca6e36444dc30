/* SPDX-License-Identifier: Apache-2.0 */
/* What a cluster is and what it lets us do: info looks at it, can-i asks for rights, for all of them before it judges. */
#include "step.h"

#include <string.h>

#include "base/text.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"

#define SHOWN_MAX 480 /* of the missing rights, within one message */

struct info_args {
	struct target *in;
};

static int
info_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct info_args *a = args;
	const struct value *version, *system, *uid;
	const char *git;

	if (step_read(cx, &(struct ref){ a->in, "version" }, &version, err) < 0 ||
	    step_read(cx, &(struct ref){ a->in, "Namespace//kube-system" }, &system, err) < 0)
		return -1;
	uid = kube_object_get(system, "metadata", "uid");
	git = value_get_str(version, "gitVersion", "");
	if (step_output(cx, "version", value_str(git[0] == 'v' ? git + 1 : git), err) < 0 ||
	    step_output(cx, "platform", value_str(value_get_str(version, "platform", "")), err) < 0)
		return -1;
	return step_output(cx, "id", uid != NULL ? *uid : VALUE_NULL, err);
}

static const struct field info_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct info_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster to ask" },
	{ 0 },
};

static const struct field info_outputs[] = {
	{ "id", F_STRING, .help = "what tells the cluster from others: the uid of its namespace kube-system" },
	{ "version", F_STRING, .help = "of its API server, such as 1.34.4" },
	{ "platform", F_STRING, .help = "what its API server runs on, such as linux/amd64" },
	{ 0 },
};

const struct step_type kubernetes_info_step = {
	.name = "kubernetes.info",
	.summary = "ask a cluster what it is",
	.inputs = info_inputs,
	.outputs = info_outputs,
	.args_size = sizeof(struct info_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = info_run,
};

struct can_args {
	struct target *in;
	const struct value *all;
	const char *namespace;
};

/* One right; as it is asked for and as people read it. */
struct right {
	const char *verb, *kind, *namespace, *name, *sub;
};

/* A member of a map that is a text or not there; false for any other. */
static bool
text_member(const struct value *map, const char *member, const char **ret)
{
	const struct value *v = value_get(map, member);

	*ret = v != NULL && v->kind == V_STRING && v->len > 0 ? v->s : NULL;
	return v == NULL || v->kind == V_NULL || *ret != NULL;
}

static int
check_right(const struct value *v, struct err *err)
{
	static const char *const members[] = { "verb", "kind", "namespace", "name" };
	const char *text[countof(members)];

	if (v->kind != V_MAP || (v->flags & VF_UNKNOWN) != 0)
		return 0;
	for (uint32_t i = 0; i < v->len; i++)
		if (strcmp(v->pairs[i].key, "verb") != 0 && strcmp(v->pairs[i].key, "kind") != 0 &&
		    strcmp(v->pairs[i].key, "namespace") != 0 && strcmp(v->pairs[i].key, "name") != 0)
			return err_set(err, ERR_PLAN, "all: '%.100s' is not part of a right: verb, kind, namespace, name", v->pairs[i].key);
	for (size_t i = 0; i < countof(members); i++)
		if (!text_member(v, members[i], &text[i]))
			return err_set(err, ERR_PLAN, "all: %s must be a text", members[i]);
	if (text[0] == NULL || text[1] == NULL)
		return err_set(err, ERR_PLAN, "all: a right needs verb and kind, such as {verb: create, kind: Pod/exec}");
	if (text[0][strspn(text[0], "abcdefghijklmnopqrstuvwxyz*-")] != '\0')
		return err_set(err, ERR_PLAN, "all: '%.100s' is not a verb", text[0]);
	if (text[2] != NULL && strcmp(text[2], "*") != 0 && kube_check_namespace(text[2], err) < 0)
		return -1;
	if (text[3] != NULL && kube_check_name("role", text[3], err) < 0)
		return -1;
	return 0;
}

static int
can_check(const void *args, struct err *err)
{
	const struct can_args *a = args;

	if (a->all->kind == V_LIST && a->all->len == 0)
		return err_set(err, ERR_PLAN, "all is empty: there is nothing to ask for");
	if (a->namespace != NULL && kube_check_namespace(a->namespace, err) < 0)
		return -1;
	for (uint32_t i = 0; a->all->kind == V_LIST && i < a->all->len; i++)
		if (check_right(&a->all->items[i], err) < 0)
			return -1;
	return 0;
}

/* Kind may have its subresource behind a '/': Pod/exec. */
static struct right
right_of(struct step_ctx *cx, const struct can_args *a, const struct value *v)
{
	const char *kind = value_get_str(v, "kind", ""), *slash = strchr(kind, '/');

	return (struct right){ .verb = value_get_str(v, "verb", ""), .namespace = value_get_str(v, "namespace", a->namespace != NULL ? a->namespace : ""),
		.name = value_get_str(v, "name", ""), .sub = slash != NULL ? slash + 1 : NULL,
		.kind = slash != NULL ? arena_strndup(step_arena(cx), kind, (size_t)(slash - kind)) : kind };
}

static const char *
right_text(struct step_ctx *cx, const struct right *r)
{
	return step_text(cx, "%s %s%s%s%s%s%s%s", r->verb, r->kind, r->sub != NULL ? "/" : "", r->sub != NULL ? r->sub : "",
			 r->name[0] != '\0' ? " " : "", r->name, r->namespace[0] != '\0' ? " in " : "",
			 strcmp(r->namespace, "*") == 0 ? "all namespaces" : r->namespace);
}

/* What the server says to one right. */
static int
ask(struct step_ctx *cx, const struct can_args *a, const struct right *r, bool *ret_allowed, const char **ret_reason,
    struct err *err)
{
	const char *path = arena_printf(step_arena(cx), "can-i/%s/%s/%s/%s%s%s", r->verb, r->kind, r->namespace, r->name,
					r->sub != NULL ? "#" : "", r->sub != NULL ? r->sub : "");
	const struct value *answer, *allowed;

	if (step_read(cx, &(struct ref){ a->in, path }, &answer, err) < 0)
		return -1;
	allowed = value_get(answer, "allowed");
	*ret_allowed = answer->kind == V_UNKNOWN || (allowed != NULL && value_true(allowed));
	*ret_reason = value_get_str(answer, "reason", "");
	return 0;
}

static int
can_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct can_args *a = args;
	struct buf missing = BUF_INIT(SHOWN_MAX);
	const char *reason, *text;
	uint32_t n = 0;
	bool allowed;
	int rc = -1;

	if ((a->all->flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the rights to ask for are not known yet");
	for (uint32_t i = 0; i < a->all->len; i++) {
		const struct right r = right_of(cx, a, &a->all->items[i]);

		if (ask(cx, a, &r, &allowed, &reason, err) < 0)
			goto out;
		step_progress(cx, i + 1, a->all->len, "rights");
		if (allowed)
			continue;
		text = right_text(cx, &r);
		step_note(cx, "not allowed: %s%s%.300s", text, reason[0] != '\0' ? ": " : "", reason);
		if (missing.len + strlen(text) + 2 <= SHOWN_MAX) /* whole ones only */
			buf_printf(&missing, "%s%s", n > 0 ? "; " : "", text);
		n++;
	}
	rc = n == 0 ? 0 : err_set(err, ERR_FAILED, "%u of %u rights are missing: %s", n, a->all->len, missing.p);
out:
	buf_done(&missing);
	return rc;
}

static const struct field can_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct can_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster to ask, as the user that the target logs in as" },
	{ "all", F_LIST, F_MAP, offsetof(struct can_args, all), .required = true,
	  .help = "the rights that are needed, each {verb, kind, namespace, name}; kind may have a subresource, as in Pod/exec, "
		  "and a namespace of * asks for all" },
	{ "namespace", F_STRING, .offset = offsetof(struct can_args, namespace),
	  .help = "namespace of the rights that name none; without it the target's own" },
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type kubernetes_can_i_step = {
	.name = "kubernetes.can-i",
	.summary = "fail when rights are missing, naming all of them at once",
	.inputs = can_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct can_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = can_run,
	.check = can_check,
};
