/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.preflight: what would stop a move later, all of it at once: kinds, classes, nodes and room that the destination
 * lacks, objects that it has already, rights that are missing at either side, claims that would go with their pods. */
#include "step.h"

#include <string.h>

#include "base/text.h"
#include "steps/kube_folder.h"
#include "steps/kube_needs.h"
#include "steps/kube_object.h"
#include "steps/kube_quota.h"
#include "steps/kube_sleep.h"
#include "steps/target/kube_paths.h"

#define PAGE 500
#define SHOWN_MAX 480 /* of all problems, within one message */

struct preflight_args {
	struct target *from, *to;
	const char *folder, *stops, *on_existing, *problems;
};

struct preflight {
	const struct preflight_args *args;
	struct kube_needs needs, stops;
	struct room *room;         /* that is asked about */
	const struct value *kinds; /* that `to` has */
	double nodes;
	struct value *problems;
	uint32_t n, cap;
};

/* text: step_text */
static void
problem(struct step_ctx *cx, struct preflight *p, const char *text)
{
	if (p->n == p->cap) {
		struct value *list = arena_array(step_arena(cx), p->cap * 2 + 32, sizeof(*list));

		if (p->n > 0)
			memcpy(list, p->problems, p->n * sizeof(*list));
		p->problems = list;
		p->cap = p->cap * 2 + 32;
	}
	p->problems[p->n++] = value_str(text);
	step_note(cx, "%s", text);
}

typedef int object_fn(struct step_ctx *cx, struct preflight *p, const struct value *object, struct err *err);

/* Each object of a folder. */
static int
walk_folder(struct step_ctx *cx, struct preflight *p, const char *path, object_fn *fn, struct err *err)
{
	struct arena scratch = ARENA_INIT;
	struct kube_folder folder;
	struct value v;
	int rc = kube_folder_open(cx, path, &folder, err);

	for (uint32_t i = 0; rc == 0 && i < folder.store.n; i++) {
		rc = kube_folder_read(cx, &folder, i, &scratch, &v, err);
		if (rc == 0)
			rc = fn(cx, p, &v, err);
		arena_reset(&scratch);
	}
	kube_folder_close(&folder);
	arena_done(&scratch);
	return rc;
}

/* Each object of a list of the destination: its path and itself. */
typedef int item_fn(struct step_ctx *cx, struct preflight *p, const char *path, const struct value *object, void *data, struct err *err);

static int
walk_list(struct step_ctx *cx, struct preflight *p, const char *kind, const char *namespace, item_fn *fn, void *data, struct err *err)
{
	const char *path = kube_paths_list(step_arena(cx), kind, namespace, NULL, NULL);
	struct query q = { .target = p->args->to, .from = { path, strlen(path) }, .limit = PAGE };
	struct arena a = ARENA_INIT;
	struct page page = { .more = true };
	int rc = 0;

	while (rc == 0 && page.more) {
		rc = step_list(cx, &q, &page, err);
		for (size_t i = 0; rc == 0 && i < page.n; i++) {
			struct value v;

			rc = value_parse_json(&a, page.items[i].value.p, page.items[i].value.len, &v, err);
			if (rc == 0)
				rc = fn(cx, p, arena_strndup(&a, page.items[i].key.p, page.items[i].key.len), &v, data, err);
			arena_reset(&a);
		}
		q.resume = page.resume;
	}
	arena_done(&a);
	return rc;
}

/* ---- kinds and classes ---- */

/* Does `to` have the kind, in this version (NULL: any)? */
static bool
has_kind(const struct preflight *p, const struct kube_need *n, const char *version)
{
	for (uint32_t i = 0; p->kinds->kind == V_LIST && i < p->kinds->len; i++) {
		const struct value *k = &p->kinds->items[i];

		if (strcmp(value_get_str(k, "kind", ""), n->kind) == 0 && strcmp(value_get_str(k, "group", ""), n->group) == 0 &&
		    (version == NULL || strcmp(value_get_str(k, "version", ""), version) == 0))
			return true;
	}
	return false;
}

static const char *
kind_of(struct step_ctx *cx, const struct kube_need *n)
{
	return step_text(cx, "%s%s%s", n->kind, n->group[0] != '\0' ? "." : "", n->group);
}

static void
check_kind(struct step_ctx *cx, struct preflight *p, const struct kube_need *n)
{
	if (has_kind(p, n, n->version))
		return;
	if (has_kind(p, n, NULL))
		problem(cx, p, step_text(cx, "the destination has the kind %s, but not in version %s, as %s is stored", kind_of(cx, n), n->version, n->user));
	else if (!kube_needs_defines(&p->needs, n->group, n->kind))
		problem(cx, p, step_text(cx, "the destination has no kind %s, which %s is of, and no definition of it comes along", kind_of(cx, n), n->user));
}

/* One that the source lacks, too, is none of the move's: static volumes name classes that are nowhere. */
static int
check_class(struct step_ctx *cx, struct preflight *p, const struct kube_need *n, struct err *err)
{
	const char *path = kube_paths_object(step_arena(cx), kind_of(cx, n), "", n->name, NULL);
	const char *own = step_text(cx, "%s//%s", kind_of(cx, n), n->name);
	const struct value *there, *here;

	if (kube_needs_has(&p->needs, own) || strncmp(n->name, "system-", 7) == 0)
		return 0;
	if (step_read(cx, &(struct ref){ p->args->to, path }, &there, err) < 0 ||
	    step_read(cx, &(struct ref){ p->args->from, path }, &here, err) < 0)
		return -1;
	if (there->kind == V_NULL && (here->kind != V_NULL || strcmp(n->kind, "StorageClass") != 0))
		problem(cx, p, step_text(cx, "the destination has no %s %s, which %s names", n->kind, n->name, n->user));
	return 0;
}

/* ---- nodes ---- */

static bool
has_labels(const struct value *node, const struct value *wanted)
{
	const struct value *labels = kube_object_get(node, "metadata", "labels");

	for (uint32_t i = 0; i < wanted->len; i++) {
		const struct value *v = labels != NULL ? value_get(labels, wanted->pairs[i].key) : NULL;

		if (v == NULL || !value_eq(v, &wanted->pairs[i].v))
			return false;
	}
	return true;
}

/* data: which needs a node was found for */
static int
see_node(struct step_ctx *cx, struct preflight *p, const char *path, const struct value *node, void *data, struct err *err)
{
	bool *found = data;

	(void)cx, (void)path, (void)err;
	p->nodes++;
	for (uint32_t i = 0; i < p->needs.n; i++)
		if (p->needs.list[i].what == KUBE_NEED_NODE)
			found[i] = found[i] || has_labels(node, &p->needs.list[i].labels);
	return 0;
}

static int
check_nodes(struct step_ctx *cx, struct preflight *p, struct err *err)
{
	bool *found = arena_array(step_arena(cx), p->needs.n + 1, sizeof(*found));

	if (walk_list(cx, p, "Node", "", see_node, found, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->needs.n; i++)
		if (p->needs.list[i].what == KUBE_NEED_NODE && !found[i])
			problem(cx, p, step_text(cx, "the destination has no node with %s, which %s asks for", p->needs.list[i].name, p->needs.list[i].user));
	return 0;
}

/* ---- what is there already ---- */

/* data: the kind, as in paths */
static int
see_object(struct step_ctx *cx, struct preflight *p, const char *path, const struct value *object, void *data, struct err *err)
{
	const char *slash = strchr(path, '/');
	struct buf own = BUF_INIT(0);

	(void)object, (void)err;
	buf_printf(&own, "%s%s", (const char *)data, slash != NULL ? slash : "");
	if (kube_needs_has(&p->needs, own.p))
		problem(cx, p, step_text(cx, "%s is at the destination already", own.p));
	buf_done(&own);
	return 0;
}

static int
check_clashes(struct step_ctx *cx, struct preflight *p, const struct kube_need *n, struct err *err)
{
	const char *kind = kind_of(cx, n);

	if (strcmp(p->args->on_existing, "fail") != 0 || !has_kind(p, n, NULL) || strcmp(kind, "Namespace") == 0 ||
	    strcmp(n->kind, "CustomResourceDefinition") == 0)
		return 0;
	return walk_list(cx, p, kind, n->namespace, see_object, (void *)(uintptr_t)kind, err);
}

/* ---- room ---- */

struct room {
	const char *namespace, *resource;
	double need;
};

static int
add_amount(struct step_ctx *cx, struct preflight *p, const struct value *object, struct err *err)
{
	struct room *room = p->room;
	const struct value *namespace = kube_object_get(object, "metadata", "namespace");

	(void)cx, (void)err;
	if (namespace != NULL && namespace->kind == V_STRING && strcmp(namespace->s, room->namespace) == 0)
		room->need += kube_quota_amount(object, room->resource, p->nodes);
	return 0;
}

static int
see_quota(struct step_ctx *cx, struct preflight *p, const char *path, const struct value *quota, void *data, struct err *err)
{
	const struct value *hard = kube_object_get(quota, "spec", "hard"), *used = kube_object_get(quota, "status", "used");
	double limit, taken;

	if (kube_object_get(quota, "spec", "scopes") != NULL || kube_object_get(quota, "spec", "scopeSelector") != NULL)
		return 0;
	for (uint32_t i = 0; hard != NULL && hard->kind == V_MAP && i < hard->len; i++) {
		struct room room = { .namespace = data, .resource = hard->pairs[i].key };

		p->room = &room;
		if (!kube_quota_parse(&hard->pairs[i].v, &limit))
			continue;
		if (!kube_quota_parse(used != NULL ? value_get(used, room.resource) : NULL, &taken))
			taken = 0;
		if (walk_folder(cx, p, p->args->folder, add_amount, err) < 0)
			return -1;
		if (room.need > 0 && taken + room.need > limit)
			problem(cx, p, step_text(cx, "%s at the destination leaves %.15g of %s, and %.15g are needed", path, limit - taken, room.resource, room.need));
	}
	return 0;
}

/* In the namespaces that there are objects for. */
static int
check_room(struct step_ctx *cx, struct preflight *p, struct err *err)
{
	struct map seen = MAP_INIT;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < p->needs.n; i++) {
		const struct kube_need *n = &p->needs.list[i];

		if (n->namespace[0] != '\0' && map_add(&seen, n->namespace, strlen(n->namespace), i) == MAP_NONE)
			rc = walk_list(cx, p, "ResourceQuota", n->namespace, see_quota, (void *)(uintptr_t)n->namespace, err);
	}
	map_done(&seen);
	return rc;
}

/* ---- rights ---- */

static int
ask(struct step_ctx *cx, struct preflight *p, struct target *in, const char *verb, const struct kube_need *n, struct err *err)
{
	const char *path = step_text(cx, "can-i/%s/%s/%s/", verb, kind_of(cx, n), n->namespace);
	const struct value *answer, *allowed;

	if (step_read(cx, &(struct ref){ in, path }, &answer, err) < 0)
		return -1;
	allowed = value_get(answer, "allowed");
	if (answer->kind == V_MAP && (allowed == NULL || !value_true(allowed)))
		problem(cx, p, step_text(cx, "not allowed at the %s: %s %s%s%s", in == p->args->to ? "destination" : "source", verb, kind_of(cx, n), n->namespace[0] != '\0' ? " in " : "",
					 n->namespace));
	return 0;
}

static int
check_rights(struct step_ctx *cx, struct preflight *p, struct target *in, const struct kube_needs *needs, const char *const *verbs, struct err *err)
{
	for (uint32_t i = 0; i < needs->n; i++)
		for (size_t k = 0; needs->list[i].what == KUBE_NEED_KIND && verbs[k] != NULL; k++)
			if (ask(cx, p, in, verbs[k], &needs->list[i], err) < 0)
				return -1;
	return 0;
}

/* ---- all of it ---- */

static int
add_need(struct step_ctx *cx, struct preflight *p, const struct value *object, struct err *err)
{
	(void)cx, (void)err;
	kube_needs_add(&p->needs, object);
	return 0;
}

static int
add_stop(struct step_ctx *cx, struct preflight *p, const struct value *object, struct err *err)
{
	(void)cx, (void)err;
	if (kube_sleep_of(object) != KUBE_SLEEP_NONE)
		kube_needs_add(&p->stops, object);
	return 0;
}

static int
check_source(struct step_ctx *cx, struct preflight *p, struct err *err)
{
	static const char *const verbs[] = { "get", "list", "create", "patch", "delete", NULL };

	if (p->args->stops == NULL)
		return 0;
	if (walk_folder(cx, p, p->args->stops, add_stop, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->stops.n; i++)
		if (p->stops.list[i].what == KUBE_NEED_VOLUMES)
			problem(cx, p, step_text(cx, "%s has its claims deleted when it is scaled down (whenScaled: Delete)", p->stops.list[i].user));
	return check_rights(cx, p, p->args->from, &p->stops, verbs, err);
}

static int
check_destination(struct step_ctx *cx, struct preflight *p, struct err *err)
{
	static const char *const verbs[] = { "get", "list", "create", "patch", "delete", NULL };

	if (walk_folder(cx, p, p->args->folder, add_need, err) < 0 || step_read(cx, &(struct ref){ p->args->to, "kinds" }, &p->kinds, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->needs.n; i++) {
		const struct kube_need *n = &p->needs.list[i];

		if (n->what == KUBE_NEED_KIND)
			check_kind(cx, p, n);
		if ((n->what == KUBE_NEED_CLASS && check_class(cx, p, n, err) < 0) || (n->what == KUBE_NEED_KIND && check_clashes(cx, p, n, err) < 0))
			return -1;
	}
	if (check_nodes(cx, p, err) < 0 || check_room(cx, p, err) < 0)
		return -1;
	return check_rights(cx, p, p->args->to, &p->needs, verbs, err);
}

static int
put_version(struct step_ctx *cx, struct target *in, const char *output, struct err *err)
{
	const struct value *version;
	const char *git;

	if (step_read(cx, &(struct ref){ in, "version" }, &version, err) < 0)
		return -1;
	git = value_get_str(version, "gitVersion", "");
	return step_output(cx, output, value_str(git[0] == 'v' ? git + 1 : git), err);
}

static int
judge(const struct preflight *p, struct err *err)
{
	struct buf text = BUF_INIT(SHOWN_MAX);

	if (p->n == 0 || strcmp(p->args->problems, "allowed") == 0)
		return 0;
	for (uint32_t i = 0; i < p->n && text.len + p->problems[i].len + 2 <= SHOWN_MAX; i++)
		buf_printf(&text, "%s%s", i > 0 ? "; " : "", p->problems[i].s);
	err_set(err, ERR_FAILED, "%u problem%s: %s", p->n, p->n > 1 ? "s" : "", text.len > 0 ? text.p : "");
	buf_done(&text);
	return -1;
}

static int
preflight_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct preflight p = { .args = args };
	int rc = -1;

	if (put_version(cx, p.args->from, "from_version", err) < 0 || put_version(cx, p.args->to, "to_version", err) < 0)
		return -1;
	if (check_destination(cx, &p, err) == 0 && check_source(cx, &p, err) == 0)
		rc = step_output(cx, "problems", value_list(p.problems, p.n), err);
	if (rc == 0)
		rc = judge(&p, err);
	kube_needs_done(&p.needs);
	kube_needs_done(&p.stops);
	return rc;
}

static const char *const existing_words[] = { "fail", "skip", "adopt", "replace", NULL };
static const char *const problems_words[] = { "refused", "allowed", NULL };

static const struct field preflight_inputs[] = {
	{ "from", F_TARGET, .offset = offsetof(struct preflight_args, from), .required = true, .kind = "kubernetes", .help = "the cluster that the objects come from" },
	{ "to", F_TARGET, .offset = offsetof(struct preflight_args, to), .required = true, .kind = "kubernetes", .help = "the cluster that they go to" },
	{ "folder", F_PATH, .offset = offsetof(struct preflight_args, folder), .required = true, .help = "the objects as they are to be there, by "
		  "kubernetes.export or kubernetes.transform" },
	{ "stops", F_PATH, .offset = offsetof(struct preflight_args, stops), .help = "an export of what kubernetes.sleep is to stop where they come from" },
	{ "on_existing", F_STRING, .offset = offsetof(struct preflight_args, on_existing), .dflt = "fail", .choices = existing_words,
	  .help = "as for kubernetes.import: with fail, objects that are there already are problems" },
	{ "problems", F_STRING, .offset = offsetof(struct preflight_args, problems), .dflt = "refused", .choices = problems_words,
	  .help = "refused fails where there is one, allowed only tells them" },
	{ 0 },
};

static const struct field preflight_outputs[] = {
	{ "problems", F_LIST, F_STRING, .help = "each in a sentence" },
	{ "from_version", F_STRING, .help = "of the API server that they come from" },
	{ "to_version", F_STRING, .help = "of the one that they go to" },
	{ 0 },
};

const struct step_type kubernetes_preflight_step = {
	.name = "kubernetes.preflight",
	.summary = "name all at once that would stop a move to another cluster: kinds, classes, nodes and room that it lacks, names that are "
		   "taken, rights that are missing at either side",
	.inputs = preflight_inputs,
	.outputs = preflight_outputs,
	.args_size = sizeof(struct preflight_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = preflight_run,
};
