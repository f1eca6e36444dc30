/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the kinds, then lists each kind of each namespace in lanes. One page of objects a lane is in memory. */
#include "steps/kube_select.h"

#include <pthread.h>
#include <string.h>

#include "steps/kube_clean.h"
#include "steps/kube_object.h"
#include "steps/kube_ref.h"
#include "steps/kube_store.h"
#include "steps/target/kube_paths.h"

#define PAGE 250
#define FEW 20 /* definitions a page: they are large */
#define DEFINITIONS "CustomResourceDefinition.apiextensions.k8s.io"

/* One list. */
struct job {
	const char *group, *kind, *plural, *version; /* version NULL: the preferred one */
	const char *namespace;                       /* "*": all, "": the kind has none */
	bool custom;
	uint64_t found;
};

struct name {
	struct name *next;
	const char *text;
};

struct work {
	const struct kube_select *s;
	kube_selected_fn *fn;
	void *data;
	struct job *jobs;
	size_t njobs, cap;
	pthread_mutex_t lock; /* what follows */
	size_t next;
	uint64_t found, left_out;
	struct arena names;   /* of the volumes that claims are bound to */
	struct name *volumes;
};

int
kube_select_check(const struct kube_select *s, struct err *err)
{
	if (s->namespaces != NULL && s->all)
		return err_set(err, ERR_PLAN, "give either namespaces or all_namespaces");
	if (s->namespaces == NULL && !s->all && s->kinds == NULL)
		return err_set(err, ERR_PLAN, "give namespaces, all_namespaces: true, or kinds that have no namespace");
	for (uint32_t i = 0; s->namespaces != NULL && i < s->namespaces->len; i++)
		if (s->namespaces->items[i].kind == V_STRING && kube_check_namespace(s->namespaces->items[i].s, err) < 0)
			return -1;
	if (kube_check_kinds(s->kinds, err) < 0 || kube_check_kinds(s->cluster_kinds, err) < 0)
		return -1;
	if (s->cluster_selector != NULL && kube_check_selector("cluster_selector", s->cluster_selector, err) < 0)
		return -1;
	return s->selector != NULL ? kube_check_selector("selector", s->selector, err) : 0;
}

/* ---- kinds ---- */

static bool
has_word(const struct value *list, const char *word)
{
	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (list->items[i].kind == V_STRING && strcmp(list->items[i].s, word) == 0)
			return true;
	return false;
}

/* Does the plan's word mean this kind: Kind or plural in any case, with its group where one is given? */
static bool
means(const char *word, const struct value *kind)
{
	const size_t len = strcspn(word, ".");
	const char *names[] = { value_get_str(kind, "kind", ""), value_get_str(kind, "plural", "") };

	if (word[len] == '.' && strcmp(word + len + 1, value_get_str(kind, "group", "")) != 0)
		return false;
	for (size_t i = 0; i < countof(names); i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], word, len) == 0)
			return true;
	return false;
}

static bool
is_wanted(const struct kube_select *s, const struct value *kind, bool *used)
{
	const bool namespaced = value_true(value_get(kind, "namespaced"));
	bool wanted = false;

	if (!value_true(value_get(kind, "preferred")) || !has_word(value_get(kind, "verbs"), "list"))
		return false;
	if (s->kinds == NULL)
		return namespaced && has_word(value_get(kind, "verbs"), "create") &&
		       !kube_clean_leaves_kind(value_get_str(kind, "group", ""), value_get_str(kind, "kind", ""));
	for (uint32_t i = 0; i < s->kinds->len; i++)
		if (means(s->kinds->items[i].s, kind)) {
			used[i] = true;
			wanted = true;
		}
	return wanted && (!namespaced || s->all || s->namespaces != NULL);
}

static bool
is_wanted_too(const struct kube_select *s, const struct value *kind, bool *used)
{
	bool wanted = false;

	if (s->cluster_kinds == NULL || value_true(value_get(kind, "namespaced")) || !value_true(value_get(kind, "preferred")) ||
	    !has_word(value_get(kind, "verbs"), "list"))
		return false;
	for (uint32_t i = 0; i < s->cluster_kinds->len; i++)
		if (means(s->cluster_kinds->items[i].s, kind))
			used[i] = wanted = true;
	return wanted;
}

static int
check_used(const struct value *kinds, const bool *used, bool gaps, struct err *err)
{
	for (uint32_t i = 0; !gaps && kinds != NULL && i < kinds->len; i++)
		if (!used[i])
			return err_set(err, ERR_FAILED, "the cluster has no kind '%s' that can be listed so; write Kind, plural or Kind.group", kinds->items[i].s);
	return 0;
}

static void
add_job(struct step_ctx *cx, struct work *w, const struct value *kind, const char *namespace)
{
	if (w->njobs == w->cap) {
		struct job *jobs = arena_array(step_arena(cx), w->cap * 2 + 64, sizeof(*jobs));

		if (w->njobs > 0)
			memcpy(jobs, w->jobs, w->njobs * sizeof(*jobs));
		w->jobs = jobs;
		w->cap = w->cap * 2 + 64;
	}
	w->jobs[w->njobs++] = (struct job){ .group = value_get_str(kind, "group", ""), .kind = value_get_str(kind, "kind", ""),
		.plural = value_get_str(kind, "plural", ""), .namespace = namespace };
}

static int
make_jobs(struct step_ctx *cx, struct work *w, struct err *err)
{
	const struct kube_select *s = w->s;
	const uint32_t nkinds = s->kinds != NULL ? s->kinds->len : 0, ncluster = s->cluster_kinds != NULL ? s->cluster_kinds->len : 0;
	bool *used = arena_array(step_arena(cx), nkinds + 1, sizeof(*used)), *cluster = arena_array(step_arena(cx), ncluster + 1, sizeof(*cluster));
	const struct value *kinds;

	if (step_read(cx, &(struct ref){ s->in, "kinds" }, &kinds, err) < 0)
		return -1;
	if (kinds->kind != V_LIST)
		return err_set(err, ERR_PREDICTED, "which kinds there are is not known");
	for (uint32_t i = 0; i < kinds->len; i++) {
		const struct value *kind = &kinds->items[i];

		if (!is_wanted(s, kind, used) && !is_wanted_too(s, kind, cluster))
			continue;
		if (!value_true(value_get(kind, "namespaced")))
			add_job(cx, w, kind, "");
		else if (s->all)
			add_job(cx, w, kind, "*");
		for (uint32_t k = 0; value_true(value_get(kind, "namespaced")) && s->namespaces != NULL && k < s->namespaces->len; k++)
			add_job(cx, w, kind, s->namespaces->items[k].s);
	}
	return check_used(s->kinds, used, s->gaps, err) < 0 ? -1 : check_used(s->cluster_kinds, cluster, s->gaps, err);
}

/* The version in which the definition has its objects stored, where it can be asked for. */
static const char *
storage_version(const struct value *definition)
{
	const struct value *versions = kube_object_get(definition, "spec", "versions");

	for (uint32_t i = 0; versions != NULL && versions->kind == V_LIST && i < versions->len; i++) {
		const struct value *stored = value_get(&versions->items[i], "storage"), *served = value_get(&versions->items[i], "served");

		if (stored != NULL && value_true(stored) && served != NULL && value_true(served))
			return value_get_str(&versions->items[i], "name", NULL);
	}
	return NULL;
}

static int
take_definition(struct step_ctx *cx, struct work *w, const struct item *item, struct arena *scratch, struct err *err)
{
	struct value v;
	const struct value *group, *names;
	const char *version;

	if (value_parse_json(scratch, item->value.p, item->value.len, &v, err) < 0)
		return -1;
	group = kube_object_get(&v, "spec", "group");
	names = kube_object_get(&v, "spec", "names");
	version = storage_version(&v);
	for (size_t i = 0; group != NULL && group->kind == V_STRING && names != NULL && i < w->njobs; i++)
		if (strcmp(w->jobs[i].group, group->s) == 0 && strcmp(w->jobs[i].kind, value_get_str(names, "kind", "")) == 0) {
			w->jobs[i].custom = true;
			w->jobs[i].version = version != NULL ? arena_strdup(step_arena(cx), version) : NULL;
		}
	return 0;
}

/* Pages of a list, one after the other. */
static int
next_page(struct step_ctx *cx, struct query *q, struct buf *resume, struct page *ret, struct err *err)
{
	if (step_list(cx, q, ret, err) < 0)
		return -1;
	buf_clear(resume);
	buf_put(resume, ret->resume.p, ret->resume.len);
	q->resume = (struct bytes){ resume->p, resume->len };
	return 0;
}

static int
learn_versions(struct step_ctx *cx, struct work *w, struct err *err)
{
	const char *path = kube_paths_list(step_arena(cx), DEFINITIONS, "", NULL, NULL);
	struct query q = { .target = w->s->in, .from = { path, strlen(path) }, .limit = FEW };
	struct buf resume = BUF_INIT(0);
	struct arena scratch = ARENA_INIT;
	struct page page = { .more = true };
	bool dotted = false;
	int rc = 0;

	for (size_t i = 0; i < w->njobs; i++)
		dotted = dotted || strchr(w->jobs[i].group, '.') != NULL;
	while (rc == 0 && dotted && page.more) {
		rc = next_page(cx, &q, &resume, &page, err);
		for (size_t i = 0; rc == 0 && i < page.n; i++) {
			rc = take_definition(cx, w, &page.items[i], &scratch, err);
			arena_reset(&scratch);
		}
	}
	arena_done(&scratch);
	buf_done(&resume);
	return rc;
}

/* ---- objects ---- */

/* Is it to be handed on? Then cleaned, in ret. */
static int
take(const struct work *w, const struct job *job, const struct item *item, struct arena *a, struct kube_selected *ret, bool *ret_taken,
     struct err *err)
{
	struct value v;
	const struct value *namespace;

	*ret_taken = false;
	if (value_parse_json(a, item->value.p, item->value.len, &v, err) < 0)
		return err_wrap(err, "%.*s", (int)(item->key.len < 300 ? item->key.len : 300), (const char *)item->key.p);
	namespace = kube_object_get(&v, "metadata", "namespace");
	if (kube_clean_leaves(&v, w->s->flags) != NULL ||
	    (w->s->all && namespace != NULL && namespace->kind == V_STRING && kube_clean_leaves_namespace(namespace->s)))
		return 0;
	if (strcmp(job->kind, "Secret") == 0 && job->group[0] == '\0' && strcmp(w->s->secrets, "refuse") == 0)
		return err_set(err, ERR_FAILED, "%.*s is selected, and secrets: refuse says that there must be none",
			       (int)(item->key.len < 300 ? item->key.len : 300), (const char *)item->key.p);
	ret->object = kube_clean(a, &v, w->s->flags);
	ret->path = kube_store_path_of(a, &ret->object);
	*ret_taken = true;
	return 0;
}

/* A claim takes its volume with it. */
static void
note_volume(struct work *w, const struct value *object)
{
	const struct value *volume = kube_object_get(object, "spec", "volumeName");
	struct name *name;

	if ((w->s->flags & KUBE_CLEAN_VOLUMES) == 0 || volume == NULL || volume->kind != V_STRING || volume->len == 0 ||
	    strcmp(value_get_str(object, "kind", ""), "PersistentVolumeClaim") != 0)
		return;
	name = arena_alloc(&w->names, sizeof(*name));
	*name = (struct name){ w->volumes, arena_strdup(&w->names, volume->s) };
	w->volumes = name;
}

static int
take_page(struct step_ctx *cx, struct work *w, struct job *job, unsigned lane, const struct page *page, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct kube_selected *list = arena_array(&a, page->n + 1, sizeof(*list));
	size_t n = 0;
	bool taken;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < page->n; i++) {
		rc = take(w, job, &page->items[i], &a, &list[n], &taken, err);
		n += rc == 0 && taken;
	}
	if (rc == 0 && n > 0)
		rc = w->fn(cx, w->data, lane, list, n, err);
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < n; i++)
		note_volume(w, &list[i].object);
	job->found += n;
	w->found += n;
	w->left_out += page->n - n;
	step_progress(cx, w->found, 0, "objects");
	pthread_mutex_unlock(&w->lock);
	arena_done(&a);
	return rc;
}

static int
list_job(struct step_ctx *cx, struct work *w, struct job *job, unsigned lane, struct err *err)
{
	struct arena a = ARENA_INIT;
	const char *dot = job->group[0] != '\0' ? "." : "";
	const char *kind = job->version != NULL ? arena_printf(&a, "%s.%s%s%s", job->kind, job->version, dot, job->group) :
		arena_printf(&a, "%s%s%s", job->kind, dot, job->group);
	const bool cluster = job->namespace[0] == '\0' && w->s->cluster_selector != NULL;
	const char *path = kube_paths_list(&a, kind, job->namespace, cluster ? w->s->cluster_selector : w->s->selector, NULL);
	struct query q = { .target = w->s->in, .from = { path, strlen(path) }, .limit = PAGE };
	struct buf resume = BUF_INIT(0);
	struct page page = { .more = true };
	int rc = 0;

	while (rc == 0 && page.more) {
		rc = next_page(cx, &q, &resume, &page, err);
		if (rc == 0)
			rc = take_page(cx, w, job, lane, &page, err);
	}
	buf_done(&resume);
	arena_done(&a);
	return rc;
}

static int
lane_run(struct step_ctx *cx, void *data, unsigned lane, struct err *err)
{
	struct work *w = data;

	for (;;) {
		struct job *job;

		pthread_mutex_lock(&w->lock);
		job = w->next < w->njobs ? &w->jobs[w->next++] : NULL;
		pthread_mutex_unlock(&w->lock);
		if (job == NULL)
			return 0;
		if (strcmp(job->kind, "Secret") == 0 && job->group[0] == '\0' && strcmp(w->s->secrets, "skip") == 0)
			continue;
		if (list_job(cx, w, job, lane, err) < 0)
			return -1;
	}
}

/* ---- what the objects need ---- */

/* An object by itself, where the selector does not matter. */
static int
take_one(struct step_ctx *cx, struct work *w, const char *path, bool required, struct err *err)
{
	const struct value *v;
	struct kube_selected one;

	if (step_read(cx, &(struct ref){ w->s->in, path }, &v, err) < 0)
		return -1;
	if (v->kind == V_NULL && required)
		return err_set(err, ERR_FAILED, "%s is not there", path);
	if (v->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "%s: %s", path, v->s);
	if (v->kind != V_MAP || kube_clean_leaves(v, w->s->flags) != NULL)
		return 0;
	one.object = kube_clean(step_arena(cx), v, w->s->flags);
	one.path = kube_store_path_of(step_arena(cx), &one.object);
	return w->fn(cx, w->data, 0, &one, 1, err);
}

/* Is every object of the kind, which has no namespace, among them anyway? */
static bool
lists_all(const struct work *w, const char *kind)
{
	for (size_t i = 0; i < w->njobs && w->s->selector == NULL && w->s->cluster_selector == NULL; i++)
		if (strcmp(w->jobs[i].kind, kind) == 0)
			return true;
	return false;
}

static int
take_definitions(struct step_ctx *cx, struct work *w, struct err *err)
{
	const bool listed = lists_all(w, "CustomResourceDefinition");

	for (size_t i = 0; i < w->njobs && !listed; i++) {
		const struct job *job = &w->jobs[i];
		bool done = !job->custom || (job->found == 0 && !w->s->definitions);

		for (size_t k = 0; !done && k < i; k++)
			done = (w->jobs[k].found > 0 || w->s->definitions) && strcmp(w->jobs[k].group, job->group) == 0 && strcmp(w->jobs[k].plural, job->plural) == 0;
		if (!done && take_one(cx, w, step_text(cx, DEFINITIONS "//%s.%s", job->plural, job->group), true, err) < 0)
			return -1;
	}
	return 0;
}

static int
take_volumes(struct step_ctx *cx, struct work *w, struct err *err)
{
	const bool listed = lists_all(w, "PersistentVolume");

	for (const struct name *v = w->volumes; v != NULL && !listed; v = v->next)
		if (take_one(cx, w, step_text(cx, "PersistentVolume//%s", v->text), !w->s->gaps, err) < 0)
			return -1;
	return 0;
}

static int
take_namespaces(struct step_ctx *cx, struct work *w, struct err *err)
{
	struct job all = { .group = "", .kind = "Namespace", .plural = "namespaces", .namespace = "" };
	const struct value *list = w->s->namespaces;
	struct kube_select s = *w->s;

	if (lists_all(w, "Namespace"))
		return 0;
	for (uint32_t i = 0; list != NULL && i < list->len; i++)
		if (take_one(cx, w, step_text(cx, "Namespace//%s", list->items[i].s), !s.gaps, err) < 0)
			return -1;
	s.selector = s.cluster_selector = NULL;
	w->s = &s;
	return s.all ? list_job(cx, w, &all, 0, err) : 0;
}

int
kube_select_run(struct step_ctx *cx, const struct kube_select *s, kube_selected_fn *fn, void *data, uint64_t *ret_left_out, struct err *err)
{
	struct work w = { .s = s, .fn = fn, .data = data };
	int rc;

	if (make_jobs(cx, &w, err) < 0 || learn_versions(cx, &w, err) < 0)
		return -1;
	pthread_mutex_init(&w.lock, NULL);
	rc = step_lanes(cx, s->parallel, lane_run, &w, err);
	if (rc == 0)
		rc = take_definitions(cx, &w, err);
	if (rc == 0)
		rc = take_volumes(cx, &w, err);
	if (rc == 0)
		rc = take_namespaces(cx, &w, err);
	pthread_mutex_destroy(&w.lock);
	arena_done(&w.names);
	*ret_left_out = w.left_out;
	return rc;
}
