/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.freeze makes namespaces, or what a selector selects in them, read-only for all but wherry and the control plane;
 * kubernetes.unfreeze lifts that. Both end when the API server acts accordingly, which a canary proves: an object that is
 * only tried. What was there before is in the pre-images: an undo takes bindings and policy away again. */
#include "step.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "steps/kube_freeze.h"
#include "steps/kube_labels.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"

#define LOOK_AGAIN (NS_PER_S / 5)

struct freeze_args {
	struct target *in;
	const struct value *namespaces, *except;
	const char *selector, *user;
	int64_t settled;
};

static int
freeze_check(const void *args, struct err *err)
{
	const struct freeze_args *a = args;
	struct arena scratch = ARENA_INIT;
	struct value selector;
	int rc = 0;

	if (a->namespaces->kind == V_LIST && a->namespaces->len == 0)
		return err_set(err, ERR_PLAN, "namespaces is empty: there is nothing to freeze");
	for (uint32_t i = 0; a->namespaces->kind == V_LIST && i < a->namespaces->len; i++) {
		const struct value *v = &a->namespaces->items[i];

		if (v->kind == V_STRING && kube_check_namespace(v->s, err) < 0)
			return -1;
		if (v->kind == V_STRING && strcmp(v->s, "kube-system") == 0)
			return err_set(err, ERR_PLAN, "kube-system cannot be frozen: the control plane works there");
	}
	if (a->selector == NULL)
		return 0;
	if (kube_labels_parse(&scratch, a->selector, &selector, err) < 0)
		rc = -1;
	else if (kube_labels_example(&scratch, &selector) == NULL)
		rc = err_set(err, ERR_PLAN, "selector: nothing can match '%.200s'", a->selector);
	arena_done(&scratch);
	return rc;
}

/* ---- before anything is done ---- */

/* The version of the group that has policies: v1 (Kubernetes 1.30) or v1beta1 (1.28, where it is switched on). */
static int
find_version(struct step_ctx *cx, const struct freeze_args *a, const char **ret, struct err *err)
{
	const struct value *kinds;

	*ret = NULL;
	if (step_read(cx, &(struct ref){ a->in, "kinds" }, &kinds, err) < 0)
		return -1;
	if (kinds->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "what the cluster can do is not known: %s", kinds->s);
	for (uint32_t i = 0; kinds->kind == V_LIST && i < kinds->len; i++) {
		const char *version = value_get_str(&kinds->items[i], "version", "");

		if (strcmp(value_get_str(&kinds->items[i], "kind", ""), "ValidatingAdmissionPolicyBinding") == 0 &&
		    strcmp(value_get_str(&kinds->items[i], "group", ""), KUBE_FREEZE_GROUP) == 0 &&
		    (strcmp(version, "v1") == 0 || (strcmp(version, "v1beta1") == 0 && *ret == NULL)))
			*ret = version;
	}
	if (*ret != NULL)
		return 0;
	(void)err_set(err, ERR_FAILED, "the cluster cannot freeze anything: it has no ValidatingAdmissionPolicy (Kubernetes 1.30; in 1.28 and "
		      "1.29 it can be switched on)");
	return err_next(err, "see that nobody writes there (scale down who does, take roles away) and leave this step out, or upgrade the cluster");
}

/* As whom the cluster knows us. */
static int
find_user(struct step_ctx *cx, const struct freeze_args *a, const char **ret, struct err *err)
{
	const struct value *who;

	*ret = a->user;
	if (a->user != NULL)
		return 0;
	if (step_read(cx, &(struct ref){ a->in, "whoami" }, &who, err) < 0)
		return -1;
	*ret = value_get_str(who, "username", NULL);
	if (*ret != NULL && (*ret)[0] != '\0')
		return 0;
	return err_set(err, who->kind == V_UNKNOWN ? ERR_PREDICTED : ERR_FAILED, "the cluster does not say as whom wherry is logged in (it has "
		       "no SelfSubjectReview for us): give the name with user, or the freeze would stop wherry itself");
}

/* They are there, and the canary may be tried in them. */
static int
check_namespaces(struct step_ctx *cx, const struct freeze_args *a, struct err *err)
{
	for (uint32_t i = 0; i < a->namespaces->len; i++) {
		const char *name = a->namespaces->items[i].s;
		const struct value *object, *answer;

		if (step_read(cx, &(struct ref){ a->in, step_text(cx, "Namespace//%s", name) }, &object, err) < 0 ||
		    step_read(cx, &(struct ref){ a->in, step_text(cx, "can-i/create/ConfigMap/%s/", name) }, &answer, err) < 0)
			return -1;
		if (object->kind == V_NULL)
			return err_set(err, ERR_FAILED, "namespace %s is not there", name);
		if (answer->kind == V_MAP && !value_true(value_get(answer, "allowed")))
			return err_set(err, ERR_FAILED, "wherry may not create a ConfigMap in namespace %s: it has to try one (and makes none) "
				       "to see that the freeze is in force", name);
	}
	return 0;
}

static const char *
namespaces_text(struct step_ctx *cx, const struct value *list)
{
	const char *ret = list->len == 1 ? "namespace" : "namespaces";

	for (uint32_t i = 0; i < list->len; i++)
		ret = step_text(cx, "%s%s %s", ret, i > 0 ? "," : "", list->items[i].s);
	return ret;
}

/* ---- the canary ---- */

/* In how many namespaces does the policy refuse the canary? why: else, in the last of them. */
static int
look(struct step_ctx *cx, struct target *in, const char *name, const struct value *namespaces, const struct value *selector,
     uint32_t *ret, const char **why, struct err *err)
{
	const struct value *answer;

	*ret = 0;
	for (uint32_t i = 0; i < namespaces->len; i++) {
		const char *path = kube_freeze_canary(step_arena(cx), name, namespaces->items[i].s, selector);

		if (step_read(cx, &(struct ref){ in, path }, &answer, err) < 0)
			return -1;
		if (strcmp(value_get_str(answer, "policy", ""), name) == 0)
			(*ret)++;
		else
			*why = step_text(cx, "in namespace %s %s", namespaces->items[i].s, value_true(value_get(answer, "taken")) ?
					 "changes are still taken" : value_get_str(answer, "why", ""));
	}
	return 0;
}

/* Until it has been so for as long as it has to: of several API servers each takes a policy up by itself, a moment later. */
static int
prove(struct step_ctx *cx, struct target *in, const char *name, const struct value *namespaces, const struct value *selector,
      bool frozen, int64_t settled, struct err *err)
{
	const char *why = "";
	int64_t since = 0, now;
	uint32_t refused;

	if (step_is_plan(cx)) {
		step_assume(cx, "the API server will %s", frozen ? "refuse changes there" : "take changes there again");
		return 0;
	}
	for (;;) {
		if (look(cx, in, name, namespaces, selector, &refused, &why, err) < 0)
			return -1;
		now = clock_now();
		since = refused != (frozen ? namespaces->len : 0) ? 0 : since == 0 ? now : since;
		if (since != 0 && now - since >= settled)
			return 0;
		if (step_sleep(cx, LOOK_AGAIN, err) < 0)
			return err->kind == ERR_TIMEOUT ? err_wrap(err, "%s is not %s yet: %s", name, frozen ? "in force" : "lifted",
								   frozen ? why : "changes are still refused") : -1;
	}
}

/* ---- kubernetes.freeze ---- */

static int
create(struct step_ctx *cx, struct target *in, const char *kind, const char *name, struct value object, const char *says, struct err *err)
{
	struct pair *body = arena_alloc(step_arena(cx), sizeof(*body));

	*body = (struct pair){ "object", object };
	return step_effect(cx, &(struct effect){ .on = { in, step_text(cx, "%s//%s", kind, name) }, .verb = "create",
			.body = value_map(body, 1), .class = EFFECT_PROBE, .says = says }, NULL, err);
}

/* The policy could not be made: because somebody has frozen the same? */
static int
frozen_already(struct step_ctx *cx, const struct freeze_args *a, const struct kube_freeze *f, const char *where, struct err *err)
{
	struct err ignored = ERR_INIT;
	const struct value *policy;
	const char *who;

	if (err->kind != ERR_FAILED ||
	    step_read(cx, &(struct ref){ a->in, step_text(cx, "%s//%s", KUBE_FREEZE_POLICY, f->name) }, &policy, &ignored) < 0 ||
	    !kube_freeze_is(step_arena(cx), policy, &who))
		return -1;
	(void)err_set(err, ERR_FAILED, "%s: frozen already, by wherry (%s)", where, who);
	return err_next(err, "let that run end, which lifts it\nwhere there is no such run any more, lift it by a step kubernetes.unfreeze with "
			"name: %s", f->name);
}

static int
freeze(struct step_ctx *cx, const struct freeze_args *a, const struct kube_freeze *f, const char *where, struct err *err)
{
	struct arena *arena = step_arena(cx);

	if (create(cx, a->in, KUBE_FREEZE_POLICY, f->name, kube_freeze_policy(arena, f),
		   step_text(cx, "say who may still change things in %s", where), err) < 0)
		return frozen_already(cx, a, f, where, err);
	if (f->selector != NULL && create(cx, a->in, KUBE_FREEZE_BINDING, step_text(cx, "%s-namespaces", f->name),
					  kube_freeze_binding(arena, f, true), step_text(cx, "protect %s from deletion", where), err) < 0)
		return -1;
	return create(cx, a->in, KUBE_FREEZE_BINDING, f->name, kube_freeze_binding(arena, f, false),
		      step_text(cx, "freeze %s%s%s", where, a->selector != NULL ? ", what has " : "", a->selector != NULL ? a->selector : ""), err);
}

static int
freeze_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct freeze_args *a = args;
	struct kube_freeze f = { .namespaces = a->namespaces, .except = a->except, .run = step_run_id(cx), .step = step_path(cx) };
	struct value selector;
	const char *where;

	if ((a->namespaces->flags & VF_UNKNOWN) != 0 || (a->except != NULL && (a->except->flags & VF_UNKNOWN) != 0))
		return err_set(err, ERR_PREDICTED, "what is to be frozen is not known yet");
	where = namespaces_text(cx, a->namespaces);
	if (a->selector != NULL && kube_labels_parse(step_arena(cx), a->selector, &selector, err) < 0)
		return -1;
	f.selector = a->selector != NULL ? &selector : NULL;
	f.name = kube_freeze_name(step_arena(cx), a->namespaces, a->selector);
	if (find_version(cx, a, &f.version, err) < 0 || find_user(cx, a, &f.user, err) < 0 || check_namespaces(cx, a, err) < 0)
		return -1;
	step_note(cx, "stopped: everybody who changes %s%s in %s, administrators too", a->selector != NULL ? "what has " : "anything",
		  a->selector != NULL ? a->selector : "", where);
	step_note(cx, "not stopped: %s", kube_freeze_exempt(step_arena(cx), &f));
	if (freeze(cx, a, &f, where, err) < 0 || prove(cx, a->in, f.name, a->namespaces, f.selector, true, a->settled, err) < 0 ||
	    step_output(cx, "name", value_str(f.name), err) < 0)
		return -1;
	return step_output(cx, "user", value_str(f.user), err);
}

static const struct field freeze_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct freeze_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster; its user makes a ValidatingAdmissionPolicy with its bindings" },
	{ "namespaces", F_LIST, F_STRING, offsetof(struct freeze_args, namespaces), .required = true,
	  .help = "nothing in them can be created, changed or deleted, nor can they themselves" },
	{ "selector", F_STRING, .offset = offsetof(struct freeze_args, selector),
	  .help = "a label selector, such as app in (web, api): only such objects, before or after the change, and the namespaces" },
	{ "except", F_LIST, F_STRING, offsetof(struct freeze_args, except),
	  .help = "users that may go on, such as system:serviceaccount:operators:piraeus or eks:*, beside wherry's own, the nodes, the "
		  "control plane and the service accounts of kube-system" },
	{ "user", F_STRING, .offset = offsetof(struct freeze_args, user),
	  .help = "wherry's own user as the cluster knows it, where it does not tell (it has no SelfSubjectReview)" },
	{ "settled", F_DURATION, .offset = offsetof(struct freeze_args, settled), .dflt = "2s", .max = 3600e9,
	  .help = "for how long changes have to be refused before it counts: of several API servers each begins by itself" },
	{ 0 },
};

static const struct field freeze_outputs[] = {
	{ "name", F_STRING, .help = "of the policy and its binding, for kubernetes.unfreeze" },
	{ "user", F_STRING, .help = "wherry's own user, who may go on" },
	{ 0 },
};

const struct step_type kubernetes_freeze_step = {
	.name = "kubernetes.freeze",
	.summary = "make namespaces, or a selection in them, read-only for all but wherry and the control plane; the undo lifts it",
	.inputs = freeze_inputs,
	.outputs = freeze_outputs,
	.args_size = sizeof(struct freeze_args),
	.version = 1,
	.run = freeze_run,
	.check = freeze_check,
};

/* ---- kubernetes.unfreeze ---- */

struct unfreeze_args {
	struct target *in;
	const char *name;
	bool missing_ok;
	int64_t settled;
};

static int
unfreeze_check(const void *args, struct err *err)
{
	const struct unfreeze_args *a = args;

	return kube_check_name("ValidatingAdmissionPolicy", a->name, err);
}

static int
take_away(struct step_ctx *cx, const struct unfreeze_args *a, const char *kind, const char *name, bool missing_ok, const char *says,
	  struct err *err)
{
	struct pair *body = arena_array(step_arena(cx), 2, sizeof(*body));

	body[0] = (struct pair){ "propagation", value_str("background") };
	body[1] = (struct pair){ "missing_ok", value_bool(missing_ok) };
	return step_effect(cx, &(struct effect){ .on = { a->in, step_text(cx, "%s//%s", kind, name) }, .verb = "delete",
			.body = value_map(body, 2), .class = EFFECT_PROBE, .says = says }, NULL, err);
}

static int
unfreeze_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct unfreeze_args *a = args;
	const struct value *policy, *binding, *where, *names = NULL;
	const char *who;

	if (step_read(cx, &(struct ref){ a->in, step_text(cx, "%s//%s", KUBE_FREEZE_POLICY, a->name) }, &policy, err) < 0 ||
	    step_read(cx, &(struct ref){ a->in, step_text(cx, "%s//%s", KUBE_FREEZE_BINDING, a->name) }, &binding, err) < 0)
		return -1;
	if (policy->kind == V_MAP && !kube_freeze_is(step_arena(cx), policy, &who))
		return err_set(err, ERR_FAILED, "ValidatingAdmissionPolicy %s is not of wherry's making: it is left alone", a->name);
	if (policy->kind == V_MAP)
		step_note(cx, "%s was frozen by wherry (%s)", a->name, who);
	/* in a walk after an interruption these may be gone, and are asked for all the same */
	if (take_away(cx, a, KUBE_FREEZE_BINDING, a->name, true, step_text(cx, "lift %s", a->name), err) < 0 ||
	    take_away(cx, a, KUBE_FREEZE_BINDING, step_text(cx, "%s-namespaces", a->name), true,
		      step_text(cx, "lift %s from the namespaces themselves", a->name), err) < 0 ||
	    take_away(cx, a, KUBE_FREEZE_POLICY, a->name, a->missing_ok, step_text(cx, "remove what is left of %s", a->name), err) < 0)
		return -1;
	where = kube_object_get(binding, "spec", "matchResources");
	names = kube_freeze_namespaces(binding);
	return names == NULL ? 0 : prove(cx, a->in, a->name, names, value_get(where, "objectSelector"), false, a->settled, err);
}

static const struct field unfreeze_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct unfreeze_args, in), .required = true, .kind = "kubernetes", .help = "the cluster" },
	{ "name", F_STRING, .offset = offsetof(struct unfreeze_args, name), .required = true,
	  .help = "what kubernetes.freeze called it; what somebody is refused says it, too" },
	{ "missing_ok", F_BOOL, .offset = offsetof(struct unfreeze_args, missing_ok), .help = "it may be lifted already" },
	{ "settled", F_DURATION, .offset = offsetof(struct unfreeze_args, settled), .dflt = "2s", .max = 3600e9,
	  .help = "for how long changes have to be taken again before it counts" },
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type kubernetes_unfreeze_step = {
	.name = "kubernetes.unfreeze",
	.summary = "lift what kubernetes.freeze made, whichever run it was",
	.inputs = unfreeze_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct unfreeze_args),
	.version = 1,
	.run = unfreeze_run,
	.check = unfreeze_check,
};
