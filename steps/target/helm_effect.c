/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the verbs of kind `helm` send, how they are settled after a kill, foretold and taken back. A release at which helm
 * was ended half-way is a person's: nothing here repairs it. */
#include "steps/target/helm_effect.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "steps/target/helm_drift.h"
#include "steps/target/helm_release.h"
#include "steps/target/mask.h"

static bool
flag(const struct value *body, const char *name)
{
	const struct value *v = value_get(body, name);

	return v != NULL && value_true(v);
}

static bool
is(const struct effect *e, const char *verb)
{
	return strcmp(e->verb, verb) == 0;
}

static const char *
status_of(const struct value *release)
{
	return value_get_str(release, "status", "");
}

static int64_t
revision_of(const struct value *release)
{
	return value_get_int(release, "revision", 0);
}

/* What helm is to read as values, in full: it never gets to choose what it keeps. */
static int
put_values(struct arena *a, const struct value *body, const struct value *release, struct buf *to, struct err *err)
{
	static const struct value none = { .kind = V_MAP };
	const struct value *kept = flag(body, "keep_values") ? value_get(release, "values") : NULL, *given = value_get(body, "values");
	const struct value all = helm_paths_merge(a, kept != NULL ? kept : &none, given != NULL ? given : &none);

	return value_json(to, &all, err);
}

/* A path for helm, which takes a bare word for one of a repository. */
static const char *
chart_of(struct arena *a, const char *chart)
{
	return chart[0] == '/' || chart[0] == '.' ? chart : arena_printf(a, "./%s", chart);
}

struct words {
	const char *list[24];
	size_t n;
};

static void
say(struct words *w, const char *word)
{
	w->list[w->n++] = word;
}

static void
say_timeout(struct arena *a, struct words *w, const struct value *body)
{
	say(w, "--timeout");
	say(w, arena_printf(a, "%" PRIi64 "s", value_get_int(body, "timeout", 300 * NS_PER_S) / NS_PER_S));
}

/* nonce NULL: a dry-run of it. */
static void
upgrade_words(struct arena *a, const struct effect *e, const struct helm_paths *p, const char *nonce, struct words *w)
{
	say(w, "upgrade");
	say(w, p->release);
	say(w, chart_of(a, value_get_str(&e->body, "chart", "")));
	if (flag(&e->body, "install"))
		say(w, "--install");
	say(w, "--reset-values");
	say(w, "--values");
	say(w, "-");
	say(w, "--history-max"); /* what an undo goes back to has to stay */
	say(w, "0");
	say_timeout(a, w, &e->body);
	if (nonce != NULL) {
		say(w, "--description");
		say(w, arena_printf(a, "by wherry %s", nonce));
	} else {
		say(w, "--dry-run=server");
		say(w, "--output");
		say(w, "json");
	}
}

static void
other_words(struct arena *a, const struct effect *e, const struct helm_paths *p, struct words *w)
{
	say(w, e->verb);
	say(w, p->release);
	if (is(e, "rollback")) {
		say(w, arena_printf(a, "%" PRIi64, value_get_int(&e->body, "revision", 0)));
		say(w, "--history-max");
		say(w, "0");
	} else if (flag(&e->body, "keep_history")) {
		say(w, "--keep-history");
	}
	say_timeout(a, w, &e->body);
}

static int
write_template(struct opctx *op, const struct helm_conn *c, const struct effect *e, const struct helm_paths *p, struct reply *ret,
	       struct err *err)
{
	const char *const argv[] = { "template", value_get_str(&e->body, "release", ""), chart_of(op->arena, p->chart), "--values", "-", NULL };
	const char *namespace = value_get_str(&e->body, "namespace", "default");
	struct buf in = BUF_INIT(0);
	struct pair *pairs = arena_array(op->arena, 1, sizeof(*pairs));
	struct proc_result r = { 0 };
	int rc = put_values(op->arena, &e->body, &VALUE_NULL, &in, err);

	if (rc == 0)
		rc = helm_run(op, c, &(struct helm_call){ .argv = argv, .namespace = namespace, .in = { in.p, in.len } }, &r, err);
	if (rc == 0 && r.code != 0)
		rc = helm_refused(op, &r, &e->body, err);
	if (rc == 0) {
		pairs[0] = (struct pair){ "objects", helm_objects(op->arena, r.out.len > 0 ? r.out.p : "", namespace) };
		*ret = (struct reply){ .outcome = OUTCOME_OK, .value = value_map(pairs, 1) };
	}
	proc_result_done(&r);
	buf_done(&in);
	return rc;
}

/* helm has ended: what it wrote down counts, whatever it said. */
static int
judge_end(struct opctx *op, const struct helm_conn *c, const struct effect *e, const struct helm_paths *p, const struct value *before,
	  struct proc_result *r, struct reply *ret, struct err *err)
{
	struct value after;

	if (helm_release_read(op, c, p, 0, &after, err) < 0) {
		err->kind = ERR_UNKNOWN;
		return err_wrap(err, "helm %s has ended, and what it did cannot be seen", e->verb);
	}
	if (helm_paths_pending(status_of(&after)))
		return err_set(err, ERR_UNKNOWN, "helm %s has ended and left release %s %s", e->verb, p->release, status_of(&after));
	if (r->code != 0 && revision_of(&after) <= revision_of(before))
		return helm_refused(op, r, &e->body, err);
	*ret = (struct reply){ .outcome = OUTCOME_OK, .value = after };
	return 0;
}

int
helm_effect_write(struct opctx *op, void *conn, const struct effect *e, const char *nonce, struct reply *ret, struct err *err)
{
	struct buf in = BUF_INIT(0);
	struct words w = { 0 };
	struct proc_result r = { 0 };
	struct helm_paths p;
	struct value before;
	int rc = -1;

	if (helm_paths_parse(op->arena, e->on.path, &p, err) < 0)
		return -1;
	if (p.chart != NULL)
		return write_template(op, conn, e, &p, ret, err);
	if (helm_release_settled(op, conn, &p, &before, err) < 0)
		return -1;
	if (is(e, "upgrade"))
		upgrade_words(op->arena, e, &p, nonce, &w);
	else
		other_words(op->arena, e, &p, &w);
	if (is(e, "upgrade") && put_values(op->arena, &e->body, &before, &in, err) < 0)
		goto out;
	rc = helm_run(op, conn, &(struct helm_call){ .argv = w.list, .namespace = p.namespace, .in = { in.p, in.len }, .nonce = nonce }, &r, err);
	if (rc == 0)
		rc = judge_end(op, conn, e, &p, &before, &r, ret, err);
out:
	proc_result_done(&r);
	if (in.p != NULL)
		explicit_bzero(in.p, in.cap);
	buf_done(&in);
	return rc;
}

int
helm_effect_image(struct opctx *op, void *conn, const struct effect *e, struct value *ret, struct err *err)
{
	struct helm_paths p;

	if (helm_paths_parse(op->arena, e->on.path, &p, err) < 0)
		return -1;
	return helm_release_settled(op, conn, &p, ret, err);
}

bool
helm_effect_same(const struct effect *e, const struct value *before)
{
	if (is(e, "uninstall"))
		return before->kind == V_NULL || strcmp(status_of(before), "uninstalled") == 0;
	return is(e, "rollback") && before->kind == V_MAP && revision_of(before) == value_get_int(&e->body, "revision", 0) &&
	       strcmp(status_of(before), "deployed") == 0;
}

int
helm_effect_probe(struct opctx *op, void *conn, const struct effect *e, const char *nonce, const struct value *before,
		  enum probe *ret, struct err *err)
{
	const int64_t was = revision_of(before);
	const char *back, *said;
	struct helm_paths p;
	struct value now;
	int64_t revision;

	if (helm_paths_parse(op->arena, e->on.path, &p, err) < 0 || helm_release_settled(op, conn, &p, &now, err) < 0)
		return -1;
	revision = revision_of(&now);
	said = value_get_str(&now, "description", "");
	back = arena_printf(op->arena, "Rollback to %" PRIi64, is(e, "rollback") ? value_get_int(&e->body, "revision", 0) : (int64_t)0);
	*ret = PROBE_OTHER;
	if (is(e, "uninstall") && helm_effect_same(e, &now))
		*ret = PROBE_DONE_BY_US;
	else if (revision == was)
		*ret = PROBE_NOT_DONE;
	else if (revision == was + 1 && !is(e, "uninstall") && (strcmp(status_of(&now), "failed") == 0 || strstr(said, nonce) != NULL ||
								strcmp(said, back) == 0))
		*ret = PROBE_DONE_BY_US;
	else if (revision > was && strcmp(said, arena_printf(op->arena, "Rollback to %" PRIi64, value_get_int(before, "deployed", 0))) == 0)
		*ret = PROBE_NOT_DONE; /* someone took a half-way one back, as its message said */
	return 0;
}

/* Beside a release's objects helm makes those of the chart's hooks, where they are for that; they are in no diff. */
static void
tell_hooks(struct opctx *op, const struct value *hooks, const char *what)
{
	const char *before = arena_printf(op->arena, "pre-%s", what), *after = arena_printf(op->arena, "post-%s", what);

	for (uint32_t i = 0; op->note != NULL && hooks != NULL && hooks->kind == V_MAP && i < hooks->len; i++) {
		const char *when = hooks->pairs[i].v.s;

		if (strstr(when, before) != NULL || strstr(when, after) != NULL)
			op->note(op, arena_printf(op->arena, "helm runs the chart's hook %s (%s)", hooks->pairs[i].key, when));
	}
}

/* An install brings the chart's definitions, too, where they are not there. */
static void
tell_definitions(struct opctx *op, const struct helm_conn *c, const struct value *release)
{
	const struct value all = helm_definitions(op->arena, value_get(release, "chart"));

	for (uint32_t i = 0; op->note != NULL && i < all.len; i++)
		if (helm_drift_lacks(op, c, all.pairs[i].key))
			op->note(op, arena_printf(op->arena, "helm creates %s, which nothing takes back", all.pairs[i].key));
}

/* The revision that would be, as a rendered release of helm's says. */
static struct value
would_be(struct arena *a, const struct value *before, const struct value *release, const struct value *objects, const struct value *hooks)
{
	const struct value none = value_map(NULL, 0), *config = value_get(release, "config"), *chart = value_get(value_get(release, "chart"), "metadata");
	const struct pair pairs[] = {
		{ "revision", value_int(revision_of(before) + 1) },
		{ "status", value_str("deployed") },
		{ "updated", VALUE_NULL },
		{ "description", value_str("by wherry") },
		{ "chart", value_str(value_get_str(chart, "name", "")) },
		{ "version", value_str(value_get_str(chart, "version", "")) },
		{ "app_version", value_str(value_get_str(chart, "appVersion", "")) },
		{ "deployed", value_int(revision_of(before) + 1) },
		{ "values", config != NULL && config->kind == V_MAP ? *config : none },
		{ "objects", *objects },
		{ "hooks", *hooks },
	};
	const struct value v = value_map(pairs, countof(pairs));

	return value_copy(a, &v);
}

static int
predict_upgrade(struct opctx *op, const struct helm_conn *c, const struct effect *e, const struct helm_paths *p,
		const struct value *before, struct prediction *ret, struct err *err)
{
	struct buf in = BUF_INIT(0);
	struct words w = { 0 };
	const bool anew = before->kind == V_NULL;
	struct value release, objects, hooks;
	int rc = put_values(op->arena, &e->body, before, &in, err);

	upgrade_words(op->arena, e, p, NULL, &w);
	if (rc == 0)
		rc = helm_look(op, c, &(struct helm_call){ .argv = w.list, .namespace = p->namespace, .in = { in.p, in.len } }, &release, err);
	buf_done(&in);
	if (rc < 0 && ret->seen) { /* only the real one can be rendered against; an earlier step would have made it */
		*err = ERR_INIT;
		ret->confidence = CONF_PREDICTED;
		ret->after = value_unknown("what helm would render after an earlier step");
		return 0;
	}
	if (rc < 0)
		return -1;
	if (release.kind == V_NULL)
		return err_set(err, ERR_FAILED, "there is no release %s", p->release);
	objects = helm_objects(op->arena, value_get_str(&release, "manifest", ""), p->namespace);
	hooks = helm_hooks(op->arena, value_get(&release, "hooks"), p->namespace);
	tell_hooks(op, &hooks, anew ? "install" : "upgrade");
	if (anew)
		tell_definitions(op, c, &release);
	if (!ret->seen)
		helm_drift_tell(op, c, value_get(before, "objects"), &objects);
	ret->confidence = ret->seen ? CONF_PREDICTED : CONF_SIMULATED;
	ret->after = would_be(op->arena, before, &release, &objects, &hooks);
	return 0;
}

static int
predict_rollback(struct opctx *op, const struct helm_conn *c, const struct effect *e, const struct helm_paths *p,
		 const struct value *before, struct prediction *ret, struct err *err)
{
	static const char *const anew[] = { "revision", "deployed" };
	struct pair *pairs = arena_array(op->arena, 4, sizeof(*pairs));
	const int64_t revision = value_get_int(&e->body, "revision", 0);
	struct value then, over;

	if (helm_release_read(op, c, p, revision, &then, err) < 0)
		return -1;
	if (then.kind != V_MAP && !ret->seen)
		return err_set(err, ERR_FAILED, "release %s has no revision %" PRIi64, p->release, revision);
	ret->confidence = then.kind == V_MAP ? CONF_SIMULATED : CONF_PREDICTED;
	ret->after = value_unknown("a revision that an earlier step would make");
	if (then.kind != V_MAP)
		return 0;
	tell_hooks(op, value_get(&then, "hooks"), "rollback");
	if (!ret->seen)
		helm_drift_tell(op, c, value_get(before, "objects"), value_get(&then, "objects"));
	for (size_t i = 0; i < countof(anew); i++)
		pairs[i] = (struct pair){ anew[i], value_int(revision_of(before) + 1) };
	pairs[2] = (struct pair){ "status", value_str("deployed") };
	pairs[3] = (struct pair){ "description", value_str(arena_printf(op->arena, "Rollback to %" PRIi64, revision)) };
	over = value_map(pairs, 4);
	ret->after = helm_paths_merge(op->arena, &then, &over);
	return 0;
}

/* What stays of it with its history is a release that has no objects. */
static struct value
without_objects(struct arena *a, const struct effect *e, const struct value *before)
{
	struct pair *pairs = arena_array(a, 2, sizeof(*pairs));
	struct value over;

	if (!flag(&e->body, "keep_history"))
		return VALUE_NULL;
	pairs[0] = (struct pair){ "status", value_str("uninstalled") };
	pairs[1] = (struct pair){ "deployed", value_int(0) };
	over = value_map(pairs, 2);
	return helm_paths_merge(a, before, &over);
}

int
helm_effect_predict(struct opctx *op, void *conn, const struct effect *e, const struct value *before, struct prediction *ret,
		    struct err *err)
{
	struct helm_paths p;

	if (helm_paths_parse(op->arena, e->on.path, &p, err) < 0)
		return -1;
	if (before->kind == V_UNKNOWN || ((e->body.flags | before->flags) & VF_UNKNOWN)) {
		ret->confidence = CONF_PREDICTED;
		ret->after = value_unknown("a release whose values are not known yet");
		return 0;
	}
	if (is(e, "upgrade"))
		return predict_upgrade(op, conn, e, &p, before, ret, err);
	if (is(e, "rollback"))
		return predict_rollback(op, conn, e, &p, before, ret, err);
	tell_hooks(op, value_get(before, "hooks"), "delete");
	if (!ret->seen)
		helm_drift_tell(op, conn, value_get(before, "objects"), NULL);
	ret->confidence = CONF_EXACT;
	ret->after = without_objects(op->arena, e, before);
	return 0;
}

struct value
helm_effect_stands(struct arena *a, const struct effect *e, const struct value *before, const struct value *image,
		   const struct value *left)
{
	static const char *const counted[] = { "revision", "status", "updated" };
	const struct value *from = left != NULL ? left : image; /* an undo of a later effect goes back to what this one left, as a new revision */
	struct pair *pairs = arena_array(a, countof(counted), sizeof(*pairs));

	(void)e, (void)before;
	if (from->kind != V_MAP)
		return *from;
	for (size_t i = 0; i < countof(counted); i++) {
		const struct value *v = value_get(from, counted[i]);

		pairs[i] = (struct pair){ counted[i], v != NULL ? *v : VALUE_NULL };
	}
	return value_map(pairs, countof(counted));
}

struct value
helm_effect_shown(struct arena *a, const struct effect *e, const struct value *image, bool diff)
{
	const struct value *objects = value_get(image, "objects");
	struct pair *pair = arena_alloc(a, sizeof(*pair));
	struct value ret;

	if (e->verb == NULL || !is(e, "template") || objects == NULL) {
		ret = helm_release_shown(a, image, diff);
	} else {
		*pair = (struct pair){ "objects", helm_objects_hide(a, objects) };
		ret = value_map(pair, 1);
	}
	return (e->body.flags & VF_SECRET) != 0 ? mask_value(a, &ret, &e->body) : ret; /* what the plan said in confidence */
}

int
helm_effect_invert(struct arena *a, const struct effect *e, const struct value *before, const struct value *after, struct effect *ret,
		   struct err *err)
{
	const int64_t deployed = value_get_int(before, "deployed", 0);
	const bool gone = before->kind == V_NULL, kept = strcmp(status_of(before), "uninstalled") == 0;
	const struct value *timeout = value_get(&e->body, "timeout");
	struct pair *pairs = arena_array(a, 2, sizeof(*pairs));
	const char *name = strrchr(e->on.path, '/') + 1;

	(void)after;
	if (is(e, "uninstall") && !flag(&e->body, "keep_history"))
		return err_set(err, ERR_FAILED, "its revisions went with it: it has to be installed anew from its chart");
	if (!gone && !kept && deployed == 0)
		return err_set(err, ERR_FAILED, "no revision of it was running");
	pairs[0] = gone || kept ? (struct pair){ "keep_history", value_bool(kept) } : (struct pair){ "revision", value_int(deployed) };
	pairs[1] = (struct pair){ "timeout", timeout != NULL ? *timeout : value_int(300 * NS_PER_S) };
	*ret = (struct effect){ .on = e->on, .class = EFFECT_PROBE, .body = value_map(pairs, 2), .verb = gone || kept ? "uninstall" : "rollback" };
	ret->says = gone || kept ? arena_printf(a, "uninstall release %s", name) :
		arena_printf(a, "roll release %s back to revision %" PRIi64, name, deployed);
	return 0;
}
