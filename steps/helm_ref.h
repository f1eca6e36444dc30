/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of kind `helm` have in common: which release and chart, checked, and whether they fit. */
#ifndef WHERRY_STEPS_HELM_REF_H
#define WHERRY_STEPS_HELM_REF_H

#include "step.h"

struct helm_ref {
	struct target *in;
	const char *release, *namespace;
};
struct helm_chart {
	const char *chart, *version;
	bool require_same_version;
	const struct value *set, *values;
};

/* Rows of tables of inputs; type has a struct helm_ref as its member `ref`, a struct helm_chart as `chart`. */
#define HELM_AT(type, outer, member) offsetof(type, outer) + offsetof(struct helm_##outer, member)
#define HELM_RELEASE(type, does)                                                                                               \
	{ "in", F_TARGET, .offset = HELM_AT(type, ref, in), .required = true, .kind = "helm", .object = true, .help = does },  \
	{ "release", F_STRING, .offset = HELM_AT(type, ref, release), .required = true, .object = true,                        \
	  .help = "the name of the release" },                                                                                 \
	{ "namespace", F_STRING, .offset = HELM_AT(type, ref, namespace), .object = true,                                      \
	  .help = "its namespace; without it the cluster's own" }
#define HELM_PINNED(type)                                                                                                      \
	{ "version", F_STRING, .offset = HELM_AT(type, chart, version),                                                        \
	  .help = "the version that the chart has to have, exactly" },                                                         \
	{ "require_same_version", F_BOOL, .offset = HELM_AT(type, chart, require_same_version),                                \
	  .help = "fail where the chart's name or version is not the release's" }
#define HELM_VALUES(type)                                                                                                      \
	{ "values", F_MAP, .offset = HELM_AT(type, chart, values), .secret = true,                                             \
	  .help = "values over the chart's defaults; a null takes a default away; may hold secrets" },                         \
	{ "set", F_MAP, .offset = HELM_AT(type, chart, set), .secret = true,                                                   \
	  .help = "values by dotted names, {a.b: 1}, over `values`; a dot behind a backslash is one of the name; types stay as they are" }

/* Static checks. */
int helm_check_ref(const struct helm_ref *r, struct err *err);
int helm_check_chart(const struct helm_chart *c, struct err *err);
const char *helm_ref_path(struct step_ctx *cx, const struct helm_ref *r);
/* The chart as it is, of the version that is wanted, and of the release's where that is wanted too. release may be NULL. */
int helm_chart_fits(struct step_ctx *cx, const struct helm_ref *r, const struct helm_chart *c, const struct value *release,
		    const struct value **ret, struct err *err);
/* `values` with `set` over them. */
int helm_chart_values(struct step_ctx *cx, const struct helm_chart *c, struct value *ret, struct err *err);
/* Secrets as "(secret)", for outputs. */
struct value helm_output(struct arena *a, const struct value *v);
/* Outputs of these names from a release; unknown where it is. */
int helm_put_release(struct step_ctx *cx, const struct field *outputs, const struct value *release, struct err *err);

#endif
