/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.import: the objects of an exported folder into a cluster, in the order in which they need each other. Each object is
 * an effect of its own, known by its path, so a resume goes on where it was. No more than a round of objects is in memory. */
#include "step.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "steps/kube_clean.h"
#include "steps/kube_differ.h"
#include "steps/kube_folder.h"
#include "steps/kube_object.h"
#include "steps/kube_order.h"
#include "steps/kube_ref.h"
#include "steps/kube_until.h"
#include "steps/kube_word.h"
#include "steps/target/kube_paths.h"

#define PAGE 500
#define SHOWN 8 /* conflicts in one message */
#define DEFINITIONS "CustomResourceDefinition.apiextensions.k8s.io"
#define LOOK_AGAIN INT64_C(200000000)

struct import_args {
	struct target *in;
	const char *from, *on_existing;
	const struct value *namespaces, *kinds, *without;
	int64_t parallel;
};

/* Objects of one kind and namespace. */
struct group {
	const char *kind, *group, *namespace, *path; /* path: of their list */
};

struct import {
	const struct import_args *args;
	struct kube_folder folder;
	struct kube_order order; /* until it is made */
	struct arena kept;       /* what came of it, and names of definitions */
	uint32_t n; /* objects that are imported */
	struct group *groups;
	size_t ngroups, cap;
	struct map seen; /* groups by path */
	/* one wave */
	const uint32_t *items;
	uint32_t next, end, done;
	const char *verb;
	struct value *definitions; /* the names of those that the wave made */
	uint32_t ndefinitions, definitions_cap;
};

static bool
is_kind(const struct value *object, const char *kind)
{
	return strcmp(value_get_str(object, "kind", ""), kind) == 0;
}

/* What every import may find there: it is left as it is where others fail. */
static bool
is_shared(const struct value *object)
{
	return is_kind(object, "Namespace") || is_kind(object, "CustomResourceDefinition");
}

/* ---- first walk: the order, and what is there already ---- */

static void
add_group(struct step_ctx *cx, struct import *m, struct arena *scratch, const struct kube_name *name)
{
	struct arena *a = step_arena(cx);
	const char *namespace = name->namespace != NULL ? name->namespace : "", *path = kube_paths_list(scratch, name->kind, namespace, NULL, NULL);
	const char *kind, *dot, *group;

	if (map_keep(&m->seen, a, path, strlen(path), (uint32_t)m->ngroups, &path) != MAP_NONE)
		return;
	kind = arena_strdup(a, name->kind);
	dot = strchr(kind, '.');
	group = dot != NULL ? strchr(dot + 1, '.') : NULL;
	if (m->ngroups == m->cap) {
		struct group *groups = arena_array(a, m->cap * 2 + 64, sizeof(*groups));

		if (m->ngroups > 0)
			memcpy(groups, m->groups, m->ngroups * sizeof(*groups));
		m->groups = groups;
		m->cap = m->cap * 2 + 64;
	}
	m->groups[m->ngroups++] = (struct group){ .path = path, .group = group != NULL ? group + 1 : "",
		.kind = arena_strndup(a, kind, strcspn(kind, ".")), .namespace = arena_strdup(a, namespace) };
}

/* The object of a file, as it is to be in this cluster. */
static int
read_object(struct step_ctx *cx, const struct import *m, uint32_t item, struct arena *a, struct value *ret, struct kube_name *ret_name,
	    struct err *err)
{
	struct value v;
	struct kube_name name;

	if (kube_folder_read(cx, &m->folder, item, a, &v, err) < 0)
		return -1;
	v = kube_object_sent(a, &v);
	*ret = kube_differ_moved(a, &v, m->args->namespaces);
	if (kube_object_name(a, ret, NULL, &name, err) < 0) {
		err->kind = ERR_FAILED;
		return err_wrap(err, "%s", m->folder.store.files[item].path);
	}
	*ret_name = name;
	return 0;
}

static bool
is_wanted(const struct import_args *a, const struct value *object)
{
	return (a->kinds == NULL || kube_word_in(a->kinds, object)) && (a->without == NULL || !kube_word_in(a->without, object));
}

static int
look_through(struct step_ctx *cx, struct import *m, struct err *err)
{
	const uint32_t n = m->folder.store.n;
	struct arena a = ARENA_INIT;
	struct kube_name name;
	struct value v;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		rc = read_object(cx, m, i, &a, &v, &name, err);
		if (rc == 0 && !is_wanted(m->args, &v)) {
			arena_reset(&a);
			continue;
		}
		m->n++;
		if (rc == 0 && !kube_order_add(&m->order, i, &v))
			rc = err_set(err, ERR_FAILED, "two objects would be %s", kube_ref_text(&a, &name));
		if (rc == 0 && !is_shared(&v))
			add_group(cx, m, &a, &name);
		step_progress(cx, i + 1, 2 * (uint64_t)n, "objects");
		arena_reset(&a);
	}
	arena_done(&a);
	return rc;
}

struct conflicts {
	uint64_t n;
	struct buf text;
};

/* Is the object that is there one of those to be imported? */
static void
count_conflict(const struct import *m, const struct group *g, const struct item *item, struct arena *a, struct conflicts *c)
{
	const char *key = arena_strndup(a, item->key.p, item->key.len), *name = strrchr(key, '/');

	if (name == NULL || !kube_order_has(&m->order, g->group, g->kind, g->namespace, name + 1))
		return;
	if (c->n < SHOWN)
		buf_printf(&c->text, "%s%s", c->n > 0 ? ", " : "", text_safe(a, key, strlen(key), 200));
	c->n++;
}

static bool
is_known(const struct value *kinds, const struct group *g)
{
	for (uint32_t i = 0; kinds->kind == V_LIST && i < kinds->len; i++)
		if (is_kind(&kinds->items[i], g->kind) && strcmp(value_get_str(&kinds->items[i], "group", ""), g->group) == 0)
			return true;
	return false;
}

static int
count_group(struct step_ctx *cx, const struct import *m, const struct group *g, struct conflicts *c, struct err *err)
{
	struct query q = { .target = m->args->in, .from = { g->path, strlen(g->path) }, .limit = PAGE };
	struct arena a = ARENA_INIT;
	struct buf resume = BUF_INIT(0);
	struct page page = { .more = true };
	int rc = 0;

	while (rc == 0 && page.more) {
		rc = step_list(cx, &q, &page, err);
		for (size_t i = 0; rc == 0 && i < page.n; i++) {
			count_conflict(m, g, &page.items[i], &a, c);
			arena_reset(&a);
		}
		buf_clear(&resume);
		if (rc == 0)
			buf_put(&resume, page.resume.p, page.resume.len);
		q.resume = (struct bytes){ resume.p, resume.len };
	}
	if (rc < 0 && err->kind == ERR_PREDICTED) { /* an earlier step changes what is there: each object tells */
		*err = ERR_INIT;
		rc = 0;
	}
	buf_done(&resume);
	arena_done(&a);
	return rc;
}

/* All conflicts at once, before anything is done: once something is, what is there may be our own. An object that comes to be
 * there later fails by itself. */
static int
check_conflicts(struct step_ctx *cx, struct import *m, struct err *err)
{
	struct conflicts c = { .text = BUF_INIT(2000) };
	const struct value *kinds;
	int rc = 0;

	if (strcmp(m->args->on_existing, "fail") != 0 || step_has_begun(cx))
		return 0;
	if (step_read(cx, &(struct ref){ m->args->in, "kinds" }, &kinds, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < m->ngroups; i++)
		if (is_known(kinds, &m->groups[i]))
			rc = count_group(cx, m, &m->groups[i], &c, err);
	if (rc == 0 && c.n > 0) {
		rc = err_set(err, ERR_FAILED, "%" PRIu64 " of the objects are there already: %.500s%s", c.n, c.text.p, c.n > SHOWN ? ", …" : "");
		err_next(err, "say what becomes of them: on_existing: skip, adopt or replace");
	}
	buf_done(&c.text);
	return rc;
}

/* ---- second walk: a wave of objects that do not need each other ---- */

/* Owners that are there, by the uids that they have here. */
static int
with_owners(struct step_ctx *cx, const struct import *m, struct arena *a, const struct value *object, struct value *ret, struct err *err)
{
	const struct value *owners = kube_object_get(object, "metadata", "ownerReferences"), *owner;
	struct value *list, all;
	size_t n = 0;

	*ret = *object;
	if (owners == NULL || owners->kind != V_LIST)
		return 0;
	list = arena_array(a, owners->len + 1, sizeof(*list));
	for (uint32_t i = 0; i < owners->len; i++) {
		const struct value *o = &owners->items[i], *uid;
		struct pair meta[2] = { { "name", VALUE_NULL }, { "namespace", VALUE_NULL } }, as[3], *pairs;
		const struct value *namespace = kube_object_get(object, "metadata", "namespace");
		struct value about;
		struct kube_name name;

		meta[0].v = value_str(value_get_str(o, "name", ""));
		meta[1].v = namespace != NULL ? *namespace : VALUE_NULL;
		as[0] = (struct pair){ "apiVersion", value_str(value_get_str(o, "apiVersion", "")) };
		as[1] = (struct pair){ "kind", value_str(value_get_str(o, "kind", "")) };
		as[2] = (struct pair){ "metadata", value_map(meta, 2) };
		about = value_map(as, 3);
		if (kube_object_name(a, &about, NULL, &name, err) < 0 ||
		    step_read(cx, &(struct ref){ m->args->in, kube_ref_path(a, &name, NULL) }, &owner, err) < 0)
			return -1;
		uid = kube_object_get(owner, "metadata", "uid");
		if (uid == NULL || uid->kind != V_STRING)
			continue;
		pairs = arena_array(a, o->len + 1, sizeof(*pairs));
		memcpy(pairs, o->pairs, o->len * sizeof(*pairs));
		pairs[o->len] = (struct pair){ "uid", *uid };
		list[n++] = value_map(pairs, o->len + 1);
	}
	all = value_list(list, n);
	*ret = kube_object_with(a, object, "metadata", kube_object_with(a, value_get(object, "metadata"), "ownerReferences", all));
	return 0;
}

static void
remember_definition(struct import *m, const struct value *object)
{
	if (!is_kind(object, "CustomResourceDefinition"))
		return;
	if (m->ndefinitions == m->definitions_cap) {
		struct value *more = arena_array(&m->kept, m->definitions_cap * 2 + 16, sizeof(*more));

		if (m->ndefinitions > 0)
			memcpy(more, m->definitions, m->ndefinitions * sizeof(*more));
		m->definitions = more;
		m->definitions_cap = m->definitions_cap * 2 + 16;
	}
	m->definitions[m->ndefinitions++] = value_str(arena_strdup(&m->kept, value_get_str(value_get(object, "metadata"), "name", "")));
}

/* The effect that makes the object: created, or applied over what is there. */
static void
make_effect(struct step_ctx *cx, const struct import *m, struct arena *a, const struct value *object, const struct kube_name *name,
	    struct effect *ret)
{
	const char *policy = m->args->on_existing, *text = kube_ref_text(a, name);
	const bool keeps = strcmp(policy, "skip") == 0 || (strcmp(policy, "fail") == 0 && is_shared(object));
	const bool creates = keeps || strcmp(policy, "fail") == 0;
	struct pair *body = arena_array(a, 2, sizeof(*body));

	(void)cx;
	body[0] = (struct pair){ "object", *object };
	body[1] = creates ? (struct pair){ "existing", value_str("keep") } : (struct pair){ "force", value_bool(true) };
	*ret = (struct effect){ .on = { m->args->in, kube_ref_path(a, name, NULL) }, .verb = creates ? "create" : "apply",
		.class = creates ? EFFECT_PROBE : EFFECT_IDEMPOTENT, .body = value_map(body, creates && !keeps ? 1 : 2) };
	ret->says = keeps ? arena_printf(a, "create %s, unless it is there", text) : creates ? arena_printf(a, "create %s", text) :
		arena_printf(a, "apply %s, over what is there", text);
}

static int
next_object(struct step_ctx *cx, void *data, struct arena *a, struct effect *ret, struct err *err)
{
	struct import *m = data;
	struct kube_name name;
	struct value v;

	if (m->next == m->end)
		return 0;
	if (read_object(cx, m, m->items[m->next++], a, &v, &name, err) < 0 || with_owners(cx, m, a, &v, &v, err) < 0)
		return -1;
	remember_definition(m, &v);
	make_effect(cx, m, a, &v, &name, ret);
	return 1;
}

/* What is there beyond the file goes. Always an effect, so that a resume asks for it again. */
static int
next_rest(struct step_ctx *cx, void *data, struct arena *a, struct effect *ret, struct err *err)
{
	struct import *m = data;
	const struct value *there;
	struct kube_name name;
	struct value v, now;
	struct pair *body = arena_array(a, 2, sizeof(*body));

	if (m->next == m->end)
		return 0;
	if (read_object(cx, m, m->items[m->next++], a, &v, &name, err) < 0 ||
	    step_read(cx, &(struct ref){ m->args->in, kube_ref_path(a, &name, NULL) }, &there, err) < 0)
		return -1;
	now = kube_clean(a, there, 0);
	body[0] = (struct pair){ "patch", there->kind == V_MAP ? kube_differ_patch(a, &now, &v) : value_map(NULL, 0) };
	body[1] = (struct pair){ "type", value_str("merge") };
	*ret = (struct effect){ .on = { m->args->in, kube_ref_path(a, &name, NULL) }, .verb = "patch", .class = EFFECT_IDEMPOTENT,
		.body = value_map(body, 2), .says = arena_printf(a, "take from %s what its file has not", kube_ref_text(a, &name)) };
	return 1;
}

static int
object_done(struct step_ctx *cx, void *data, const struct settled *s, struct err *err)
{
	struct import *m = data;

	(void)s, (void)err;
	m->done++;
	step_progress(cx, (uint64_t)m->folder.store.n + m->done, (uint64_t)m->folder.store.n + m->n, "objects");
	return 0;
}

/* Until the server serves what the definitions define. */
static int
wait_definitions(struct step_ctx *cx, struct import *m, struct err *err)
{
	const struct value names = value_list(m->definitions, m->ndefinitions);
	const struct kube_until u = { .in = m->args->in, .what = "custom kinds", .path = kube_paths_list(step_arena(cx), DEFINITIONS, "", NULL, NULL),
		.names = &names, .condition = "Established", .count = -1 };
	struct kube_found found;

	if (m->ndefinitions == 0)
		return 0;
	if (kube_until(cx, &u, &found, err) < 0)
		return -1;
	for (uint32_t i = 0; found.count.kind != V_UNKNOWN && i < m->ndefinitions; i++) {
		const char *list = kube_paths_list(step_arena(cx), m->definitions[i].s, "*", NULL, NULL);
		const struct query q = { .target = m->args->in, .from = { list, strlen(list) }, .limit = 1 };
		struct page page;

		while (step_list(cx, &q, &page, err) < 0) {
			if (err->kind != ERR_FAILED || step_sleep(cx, LOOK_AGAIN, err) < 0)
				return -1;
			*err = ERR_INIT;
			if (step_is_plan(cx))
				break;
		}
	}
	return 0;
}

static int
run_wave(struct step_ctx *cx, struct import *m, uint32_t begin, uint32_t end, struct err *err)
{
	struct many many = { .parallel = (unsigned)m->args->parallel, .next = next_object, .done = object_done, .data = m };

	m->next = begin;
	m->end = end;
	m->ndefinitions = 0;
	if (step_effects(cx, &many, err) < 0)
		return -1;
	if (strcmp(m->args->on_existing, "replace") == 0) {
		many.next = next_rest;
		many.done = NULL;
		m->next = begin;
		if (step_effects(cx, &many, err) < 0)
			return -1;
	}
	return wait_definitions(cx, m, err);
}

/* The objects in waves. What told their order is not needed any more, and large. */
static const uint32_t *
make_order(struct import *m, uint32_t *ret_waves)
{
	const uint32_t *items, *ends;
	uint32_t *kept;

	kube_order_make(&m->order, &items, &ends, ret_waves);
	kept = arena_array(&m->kept, m->n + *ret_waves + 1, sizeof(*kept));
	memcpy(kept, items, m->n * sizeof(*kept));
	memcpy(kept + m->n, ends, *ret_waves * sizeof(*kept));
	m->items = kept;
	kube_order_done(&m->order);
	map_done(&m->seen);
	return kept + m->n;
}

static int
import_run(struct step_ctx *cx, const void *args, struct err *err)
{
	struct import m = { .args = args };
	const uint32_t *ends = NULL;
	uint32_t waves = 0;
	int rc;

	rc = kube_folder_open(cx, m.args->from, &m.folder, err);
	if (rc == 0)
		rc = look_through(cx, &m, err);
	if (rc == 0)
		rc = check_conflicts(cx, &m, err);
	if (rc == 0)
		ends = make_order(&m, &waves);
	for (uint32_t i = 0; rc == 0 && i < waves; i++)
		rc = run_wave(cx, &m, i > 0 ? ends[i - 1] : 0, ends[i], err);
	if (rc == 0)
		rc = step_output(cx, "objects", value_int(m.n), err);
	map_done(&m.seen);
	kube_order_done(&m.order);
	arena_done(&m.kept);
	kube_folder_close(&m.folder);
	return rc;
}

static const char *const existing_words[] = { "fail", "skip", "adopt", "replace", NULL };

static const struct field import_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct import_args, in), .required = true, .kind = "kubernetes", .object = true,
	  .help = "the cluster to write to" },
	{ "from", F_PATH, .offset = offsetof(struct import_args, from), .required = true, .object = true,
	  .help = "a folder that kubernetes.export made; a file that was changed since is refused" },
	{ "on_existing", F_STRING, .offset = offsetof(struct import_args, on_existing), .dflt = "fail", .choices = existing_words,
	  .help = "objects that are there already: fail names them and does nothing, skip leaves them, adopt puts the file's fields over theirs, replace "
		  "also takes away what the file has not. Namespaces and definitions that are there are left by fail, too" },
	{ "namespaces", F_MAP, .offset = offsetof(struct import_args, namespaces),
	  .help = "other names for namespaces, {old: new}, wherever objects have or name them" },
	{ "kinds", F_LIST, F_STRING, offsetof(struct import_args, kinds),
	  .help = "only objects of these kinds, as Kind, plural or Kind.group; what they need has to be there" },
	{ "without", F_LIST, F_STRING, offsetof(struct import_args, without), .help = "no objects of these kinds" },
	{ "parallel", F_INT, .offset = offsetof(struct import_args, parallel), .dflt = "16", .min = 1, .max = 64,
	  .help = "how many objects are written at a time" },
	{ 0 },
};

static const struct field import_outputs[] = {
	{ "objects", F_INT, .help = "how many objects it was: all of them are there now" },
	{ 0 },
};

static int
import_check(const void *args, struct err *err)
{
	const struct import_args *a = args;

	if (kube_check_kinds(a->kinds, err) < 0 || kube_check_kinds(a->without, err) < 0)
		return -1;
	for (uint32_t i = 0; a->namespaces != NULL && i < a->namespaces->len; i++) {
		const struct value *to = &a->namespaces->pairs[i].v;

		if (to->kind != V_STRING && to->kind != V_UNKNOWN)
			return err_set(err, ERR_PLAN, "namespaces.%.63s is not the name of a namespace", a->namespaces->pairs[i].key);
		if (kube_check_namespace(a->namespaces->pairs[i].key, err) < 0 || (to->kind == V_STRING && kube_check_namespace(to->s, err) < 0))
			return -1;
	}
	return 0;
}

const struct step_type kubernetes_import_step = {
	.name = "kubernetes.import",
	.summary = "make the objects of an exported folder in a cluster, in the order in which they need each other",
	.inputs = import_inputs,
	.outputs = import_outputs,
	.args_size = sizeof(struct import_args),
	.version = 1,
	.run = import_run,
	.check = import_check,
};
