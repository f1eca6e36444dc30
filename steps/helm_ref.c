/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a plan may say of releases and charts: charts are files here, so that what is installed is what was looked at. */
#include "steps/helm_ref.h"

#include <string.h>

#include "steps/target/helm_paths.h"

int
helm_check_ref(const struct helm_ref *r, struct err *err)
{
	return r->release != NULL ? helm_paths_check(r->release, err) : 0;
}

int
helm_check_chart(const struct helm_chart *c, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct value ignored;
	int rc;

	if (c->chart != NULL && (c->chart[0] == '\0' || strstr(c->chart, "://") != NULL))
		return err_set(err, ERR_PLAN, "chart: '%.100s' is no folder or archive on this machine; fetch it first (helm pull)", c->chart);
	rc = helm_paths_spread(&scratch, c->set, &ignored, err);
	arena_done(&scratch);
	return rc;
}

const char *
helm_ref_path(struct step_ctx *cx, const struct helm_ref *r)
{
	return helm_paths_release(step_arena(cx), r->namespace, r->release);
}

int
helm_chart_fits(struct step_ctx *cx, const struct helm_ref *r, const struct helm_chart *c, const struct value *release,
		const struct value **ret, struct err *err)
{
	const char *name, *version, *was, *its;

	if (step_read(cx, &(struct ref){ r->in, helm_paths_chart(step_arena(cx), c->chart) }, ret, err) < 0)
		return -1;
	name = value_get_str(*ret, "name", "");
	version = value_get_str(*ret, "version", "");
	if (c->version != NULL && strcmp(c->version, version) != 0)
		return err_set(err, ERR_FAILED, "chart '%.200s' is %.60s %.60s, not version %.60s", c->chart, name, version, c->version);
	if (!c->require_same_version || release == NULL || release->kind != V_MAP)
		return 0;
	was = value_get_str(release, "chart", "");
	its = value_get_str(release, "version", "");
	if (strcmp(was, name) == 0 && strcmp(its, version) == 0)
		return 0;
	return err_set(err, ERR_FAILED, "chart '%.200s' is %.60s %.60s, and release %s is of %.60s %.60s", c->chart, name, version, r->release,
		       was, its);
}

int
helm_chart_values(struct step_ctx *cx, const struct helm_chart *c, struct value *ret, struct err *err)
{
	struct value set;

	if (helm_paths_spread(step_arena(cx), c->set, &set, err) < 0)
		return -1;
	*ret = c->values != NULL ? helm_paths_merge(step_arena(cx), c->values, &set) : set;
	return 0;
}

struct value
helm_output(struct arena *a, const struct value *v)
{
	struct pair *pairs;
	struct value *items;

	if (v->kind == V_SECRET)
		return value_str("(secret)");
	if ((v->flags & VF_SECRET) == 0)
		return *v;
	if (v->kind == V_LIST) {
		items = arena_array(a, v->len, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = helm_output(a, &v->items[i]);
		return value_list(items, v->len);
	}
	pairs = arena_array(a, v->len, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++)
		pairs[i] = (struct pair){ v->pairs[i].key, helm_output(a, &v->pairs[i].v) };
	return value_map(pairs, v->len);
}

int
helm_put_release(struct step_ctx *cx, const struct field *outputs, const struct value *release, struct err *err)
{
	for (const struct field *f = outputs; f->name != NULL; f++) {
		const struct value *v = release->kind == V_MAP ? value_get(release, f->name) : release;

		if (v != NULL && step_output(cx, f->name, helm_output(step_arena(cx), v), err) < 0)
			return -1;
	}
	return 0;
}
