/* SPDX-License-Identifier: Apache-2.0 */
/* Changes releases: upgrade, rollback and uninstall. A revision that helm gave up is an effect too, so that it can be taken
 * back; a walk that finds it among what an earlier one did asks once more. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "steps/helm_ref.h"
#include "steps/target/helm_paths.h"

struct change_args {
	struct helm_ref ref;
	struct helm_chart chart;
	bool keep_values, install, keep_history;
	int64_t timeout, revision;
};

static const struct field change_outputs[] = {
	{ "revision", F_INT, .help = "the revision that was made" },
	{ "status", F_STRING, .help = "deployed" },
	{ "chart", F_STRING, .help = "the name of its chart" },
	{ "version", F_STRING, .help = "the chart's version" },
	{ "values", F_MAP, .help = "all that is set beside the chart's defaults, as helm.values shows it" },
	{ 0 },
};

static int
change_check(const void *args, struct err *err)
{
	const struct change_args *a = args;

	return helm_check_ref(&a->ref, err) < 0 || helm_check_chart(&a->chart, err) < 0 ? -1 : 0;
}

/* Ask until it is done; before: the release as it was when this walk began. */
static int
change(struct step_ctx *cx, const struct change_args *a, const struct effect *e, const struct value *before, struct err *err)
{
	const int64_t was = value_get_int(before, "revision", 0);
	const struct value *after;

	do {
		if (step_effect(cx, e, &after, err) < 0)
			return -1;
		if (strcmp(value_get_str(after, "status", "deployed"), "deployed") == 0)
			return helm_put_release(cx, change_outputs, after, err);
	} while (value_get_int(after, "revision", 0) <= was);
	(void)err_set(err, ERR_FAILED, "release %s is %s at revision %" PRIi64 ": %.400s", a->ref.release, value_get_str(after, "status", ""),
		      value_get_int(after, "revision", 0), value_get_str(after, "description", ""));
	return err_next(err, "to try it again: wherry resume %s\nback to what ran before: wherry rollback %s", step_run_id(cx), step_run_id(cx));
}

static int
upgrade_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct change_args *a = args;
	struct pair *pairs = arena_array(step_arena(cx), 5, sizeof(*pairs));
	const struct value *before, *chart;
	struct value values;

	if (step_read(cx, &(struct ref){ a->ref.in, helm_ref_path(cx, &a->ref) }, &before, err) < 0)
		return -1;
	if (before->kind == V_NULL && !a->install) {
		(void)err_set(err, ERR_FAILED, "there is no release %s", a->ref.release);
		return err_next(err, "to install it where it is not there: install: true");
	}
	if (helm_chart_fits(cx, &a->ref, &a->chart, before, &chart, err) < 0 || helm_chart_values(cx, &a->chart, &values, err) < 0)
		return -1;
	pairs[0] = (struct pair){ "chart", value_str(a->chart.chart) };
	pairs[1] = (struct pair){ "values", values };
	pairs[2] = (struct pair){ "keep_values", value_bool(a->keep_values) };
	pairs[3] = (struct pair){ "install", value_bool(a->install) };
	pairs[4] = (struct pair){ "timeout", value_int(a->timeout) };
	return change(cx, a, &(struct effect){
			.on = { a->ref.in, helm_ref_path(cx, &a->ref) },
			.verb = "upgrade",
			.body = value_map(pairs, 5),
			.class = EFFECT_PROBE,
			.says = step_text(cx, "%s release %s with chart %s %s", before->kind == V_NULL ? "install" : "upgrade", a->ref.release,
					  value_get_str(chart, "name", "?"), value_get_str(chart, "version", "?")),
		}, before, err);
}

#define TIMEOUT                                                                                                                \
	{ "timeout", F_DURATION, .offset = offsetof(struct change_args, timeout), .dflt = "5m", .min = 1e9, .max = 86400e9,    \
	  .help = "how long helm waits for one hook" }

static const struct field upgrade_inputs[] = {
	HELM_RELEASE(struct change_args, "where the release is"),
	{ "chart", F_PATH, .offset = HELM_AT(struct change_args, chart, chart), .required = true, .help = "the chart's folder or archive" },
	HELM_PINNED(struct change_args),
	HELM_VALUES(struct change_args),
	{ "keep_values", F_BOOL, .offset = offsetof(struct change_args, keep_values), .dflt = "true",
	  .help = "what the release was given before stays, under what is given now" },
	{ "install", F_BOOL, .offset = offsetof(struct change_args, install), .help = "install it where it is not there" },
	TIMEOUT,
	{ 0 },
};

const struct step_type helm_upgrade_step = {
	.name = "helm.upgrade",
	.summary = "a new revision of a release, from a chart on this machine; the undo rolls back to the revision that ran, or uninstalls "
		   "what was not there. The objects may follow later: wait for them with kubernetes.wait",
	.inputs = upgrade_inputs,
	.outputs = change_outputs,
	.args_size = sizeof(struct change_args),
	.version = 1,
	.run = upgrade_run,
	.check = change_check,
};

static int
rollback_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct change_args *a = args;
	struct pair *pairs = arena_array(step_arena(cx), 2, sizeof(*pairs));
	const struct value *before;

	if (step_read(cx, &(struct ref){ a->ref.in, helm_ref_path(cx, &a->ref) }, &before, err) < 0)
		return -1;
	if (before->kind == V_NULL)
		return err_set(err, ERR_FAILED, "there is no release %s", a->ref.release);
	pairs[0] = (struct pair){ "revision", value_int(a->revision) };
	pairs[1] = (struct pair){ "timeout", value_int(a->timeout) };
	return change(cx, a, &(struct effect){
			.on = { a->ref.in, helm_ref_path(cx, &a->ref) },
			.verb = "rollback",
			.body = value_map(pairs, 2),
			.class = EFFECT_PROBE,
			.says = step_text(cx, "roll release %s back to revision %" PRIi64, a->ref.release, a->revision),
		}, before, err);
}

static const struct field rollback_inputs[] = {
	HELM_RELEASE(struct change_args, "where the release is"),
	{ "revision", F_INT, .offset = offsetof(struct change_args, revision), .required = true, .min = 1, .max = 1e9,
	  .help = "as which revision it is to be again" },
	TIMEOUT,
	{ 0 },
};

const struct step_type helm_rollback_step = {
	.name = "helm.rollback",
	.summary = "a new revision of a release that is as an older one was; the undo rolls back to the one that ran",
	.inputs = rollback_inputs,
	.outputs = change_outputs,
	.args_size = sizeof(struct change_args),
	.version = 1,
	.run = rollback_run,
	.check = change_check,
};

static int
uninstall_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct change_args *a = args;
	struct pair *pairs = arena_array(step_arena(cx), 2, sizeof(*pairs));

	pairs[0] = (struct pair){ "keep_history", value_bool(a->keep_history) };
	pairs[1] = (struct pair){ "timeout", value_int(a->timeout) };
	return step_effect(cx, &(struct effect){
			.on = { a->ref.in, helm_ref_path(cx, &a->ref) },
			.verb = "uninstall",
			.body = value_map(pairs, 2),
			.class = EFFECT_PROBE,
			.says = step_text(cx, "uninstall release %s", a->ref.release),
		}, NULL, err);
}

static const struct field uninstall_inputs[] = {
	HELM_RELEASE(struct change_args, "where the release is"),
	{ "keep_history", F_BOOL, .offset = offsetof(struct change_args, keep_history),
	  .help = "keep its revisions, so that it can be taken back; else it cannot" },
	TIMEOUT,
	{ 0 },
};

static const struct field no_outputs[] = { { 0 } };

const struct step_type helm_uninstall_step = {
	.name = "helm.uninstall",
	.summary = "uninstall a release; one that is not there is left alone",
	.inputs = uninstall_inputs,
	.outputs = no_outputs,
	.args_size = sizeof(struct change_args),
	.version = 1,
	.run = uninstall_run,
	.check = change_check,
};
