/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at releases and charts: status, values and template. */
#include "step.h"

#include <string.h>

#include "steps/helm_ref.h"
#include "steps/target/helm_paths.h"

struct look_args {
	struct helm_ref ref;
	struct helm_chart chart;
};

static int
look_check(const void *args, struct err *err)
{
	const struct look_args *a = args;

	if (helm_check_ref(&a->ref, err) < 0 || helm_check_chart(&a->chart, err) < 0)
		return -1;
	if (a->chart.chart == NULL && (a->chart.version != NULL || a->chart.require_same_version))
		return err_set(err, ERR_PLAN, "version and require_same_version are about a chart: give one");
	return 0;
}

/* The release; it has to be there. */
static int
find(struct step_ctx *cx, const struct helm_ref *r, const struct value **ret, struct err *err)
{
	if (step_read(cx, &(struct ref){ r->in, helm_ref_path(cx, r) }, ret, err) < 0)
		return -1;
	if ((*ret)->kind == V_NULL)
		return err_set(err, ERR_FAILED, "there is no release %s", r->release);
	return 0;
}

static const struct field status_inputs[] = {
	HELM_RELEASE(struct look_args, "where the release is"),
	{ "chart", F_PATH, .offset = HELM_AT(struct look_args, chart, chart), .help = "a chart's folder or archive, to be compared" },
	HELM_PINNED(struct look_args),
	{ 0 },
};

static const struct field status_outputs[] = {
	{ "revision", F_INT, .help = "its newest revision" },
	{ "status", F_STRING, .help = "deployed, failed, uninstalled, …; one in which helm is at work fails the step, with exit code 3" },
	{ "updated", F_STRING, .help = "when that revision was made" },
	{ "description", F_STRING, .help = "helm's words about it" },
	{ "chart", F_STRING, .help = "the name of its chart" },
	{ "version", F_STRING, .help = "the chart's version" },
	{ "app_version", F_STRING, .help = "of what the chart installs" },
	{ "deployed", F_INT, .help = "the revision that runs; 0: none" },
	{ "objects", F_MAP, .help = "what it consists of, {KIND.GROUP/NAMESPACE/NAME: object} with scalars as text; secrets as \"(secret)\"" },
	{ 0 },
};

static int
status_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct look_args *a = args;
	const struct value *release, *chart;
	const char *status;

	if (find(cx, &a->ref, &release, err) < 0)
		return -1;
	status = value_get_str(release, "status", "");
	if (helm_paths_pending(status)) {
		(void)err_set(err, ERR_IN_DOUBT, "release %s is %s: a helm is at work on it, or was ended at work", a->ref.release, status);
		return err_next(err, "see which of both it is: helm history %s\nonce it is settled: wherry resume %s", a->ref.release,
				step_run_id(cx));
	}
	if (a->chart.chart != NULL && helm_chart_fits(cx, &a->ref, &a->chart, release, &chart, err) < 0)
		return -1;
	return helm_put_release(cx, status_outputs, release, err);
}

const struct step_type helm_status_step = {
	.name = "helm.status",
	.summary = "a release's newest revision and its objects; fails where it is not there, or not of a given chart",
	.inputs = status_inputs,
	.outputs = status_outputs,
	.args_size = sizeof(struct look_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = status_run,
	.check = look_check,
};

static const struct field values_inputs[] = {
	HELM_RELEASE(struct look_args, "where the release is"),
	{ 0 },
};

static const struct field values_outputs[] = {
	{ "values", F_MAP, .help = "what was set beside the chart's defaults; those whose names say password, passphrase, secret, token, "
				   "credential or privatekey as \"(secret)\"" },
	{ "revision", F_INT, .help = "of this revision" },
	{ 0 },
};

static int
values_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct look_args *a = args;
	const struct value *release;

	if (find(cx, &a->ref, &release, err) < 0)
		return -1;
	return helm_put_release(cx, values_outputs, release, err);
}

const struct step_type helm_values_step = {
	.name = "helm.values",
	.summary = "the values that a release was given",
	.inputs = values_inputs,
	.outputs = values_outputs,
	.args_size = sizeof(struct look_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = values_run,
	.check = look_check,
};

static const struct field template_inputs[] = {
	HELM_RELEASE(struct look_args, "the target whose helm renders; the cluster is not asked"),
	{ "chart", F_PATH, .offset = HELM_AT(struct look_args, chart, chart), .required = true, .help = "the chart's folder or archive" },
	{ "version", F_STRING, .offset = HELM_AT(struct look_args, chart, version), .help = "the version that the chart has to have, exactly" },
	HELM_VALUES(struct look_args),
	{ 0 },
};

static const struct field template_outputs[] = {
	{ "objects", F_MAP, .help = "{KIND.GROUP/NAMESPACE/NAME: object} with scalars as text; secrets as \"(secret)\"" },
	{ 0 },
};

static int
template_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct look_args *a = args;
	struct pair *pairs = arena_array(step_arena(cx), 3, sizeof(*pairs));
	const struct value *chart, *after;
	struct value values;

	if (helm_chart_fits(cx, &a->ref, &a->chart, NULL, &chart, err) < 0 || helm_chart_values(cx, &a->chart, &values, err) < 0)
		return -1;
	pairs[0] = (struct pair){ "release", value_str(a->ref.release) };
	pairs[1] = (struct pair){ "values", values };
	pairs[2] = (struct pair){ "namespace", value_str(a->ref.namespace != NULL ? a->ref.namespace : "default") };
	if (step_effect(cx, &(struct effect){
				.on = { a->ref.in, helm_paths_chart(step_arena(cx), a->chart.chart) },
				.verb = "template",
				.body = value_map(pairs, 3),
				.class = EFFECT_IDEMPOTENT,
				.says = step_text(cx, "render chart %s", a->chart.chart),
				.read_only = true,
			}, &after, err) < 0)
		return -1;
	return helm_put_release(cx, template_outputs, after, err);
}

const struct step_type helm_template_step = {
	.name = "helm.template",
	.summary = "what a chart renders to, without a cluster",
	.inputs = template_inputs,
	.outputs = template_outputs,
	.args_size = sizeof(struct look_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = template_run,
	.check = look_check,
};
