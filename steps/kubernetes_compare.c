/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes.compare: are the objects of two sides the same, as their authors wrote them? A side is a cluster or a folder of
 * exports. Of each object a sum is kept, and those that differ are read once more to say where. */
#include "step.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "steps/kube_clean.h"
#include "steps/kube_differ.h"
#include "steps/kube_folder.h"
#include "steps/kube_object.h"
#include "steps/kube_select.h"
#include "steps/kube_word.h"
#include "steps/kube_yaml.h"

#define DEFINITION "CustomResourceDefinition." /* one that nothing there needs is no difference */
#define FIELDS 5 /* of one object that are named */

struct compare_args {
	struct target *in, *from;
	const char *folder, *selector, *cluster_selector, *differences;
	const struct value *namespaces, *kinds, *cluster_kinds, *moved, *ignore;
	bool all_namespaces, extra, secrets, volumes, owned, finished;
	int64_t parallel, limit;
};

/* One side. It is walked through once for the sums of its objects, and once more where some differ. */
struct side {
	const struct compare_args *args;
	struct target *in; /* NULL: the folder */
	const struct value *namespaces;
	bool moves;        /* its namespaces are called otherwise on the other side */
	/* called with the lock held, for the object as it counts */
	int (*take)(struct side *, const struct value *object, const char *path, struct err *err);
	pthread_mutex_t lock;
	struct kube_store store;
	struct buf text;
	const struct map *wanted; /* of the second walk: paths */
	struct value *objects;
	struct arena *keep;
};

static struct kube_select
selection(const struct compare_args *a, struct target *in, const struct value *namespaces)
{
	return (struct kube_select){ .in = in, .namespaces = namespaces, .all = a->all_namespaces, .kinds = a->kinds,
		.cluster_kinds = a->cluster_kinds, .cluster_selector = a->cluster_selector, .selector = a->selector,
		.secrets = a->secrets ? "keep" : "skip", .parallel = (unsigned)a->parallel, .gaps = true,
		.flags = (a->volumes ? KUBE_CLEAN_VOLUMES : 0) | (a->owned ? KUBE_CLEAN_OWNED : 0) |
			(a->finished ? 0 : KUBE_CLEAN_ENDED) };
}

static int
compare_check(const void *args, struct err *err)
{
	const struct compare_args *a = args;
	const struct kube_select s = selection(a, a->in, a->namespaces);

	if ((a->from == NULL) == (a->folder == NULL))
		return err_set(err, ERR_PLAN, "give the other side: either from, a cluster, or folder, an export");
	for (uint32_t i = 0; a->moved != NULL && i < a->moved->len; i++)
		if (a->moved->pairs[i].v.kind != V_STRING && a->moved->pairs[i].v.kind != V_UNKNOWN)
			return err_set(err, ERR_PLAN, "moved.%.63s is not the name of a namespace", a->moved->pairs[i].key);
	return kube_select_check(&s, err);
}

/* ---- both sides ---- */

static int
take(struct side *s, const struct value *object, struct arena *a, struct err *err)
{
	const struct value moved = s->moves ? kube_differ_moved(a, object, s->args->moved) : *object;
	const struct value v = kube_differ_without(a, &moved, s->args->ignore);
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = s->take(s, &v, kube_store_path_of(a, &v), err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
take_objects(struct step_ctx *cx, void *data, unsigned lane, const struct kube_selected *list, size_t n, struct err *err)
{
	struct arena a = ARENA_INIT;
	int rc = 0;

	(void)cx, (void)lane;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = take(data, &list[i].object, &a, err);
		arena_reset(&a);
	}
	arena_done(&a);
	return rc;
}

/* Is an object of a folder among those that are asked for? A selector is not asked again: it was when it was exported. */
static bool
is_selected(const struct compare_args *a, const struct value *object)
{
	const struct value *namespace = kube_object_get(object, "metadata", "namespace");
	const bool whole = kube_word_is(object, "", "Namespace"), kinds = a->kinds == NULL || whole || kube_word_in(a->kinds, object);
	bool namespaces = a->namespaces == NULL;

	if (kube_word_is(object, "", "Secret") && !a->secrets)
		return false;
	if (whole)
		namespace = kube_object_get(object, "metadata", "name");
	for (uint32_t i = 0; !namespaces && namespace != NULL && i < a->namespaces->len; i++)
		namespaces = namespace->kind == V_STRING && strcmp(a->namespaces->items[i].s, namespace->s) == 0;
	return kinds && (namespaces || namespace == NULL);
}

static int
walk_folder(struct step_ctx *cx, struct side *s, struct err *err)
{
	struct arena a = ARENA_INIT;
	struct kube_folder f;
	struct value v;
	int rc = kube_folder_open(cx, s->args->folder, &f, err);

	for (uint32_t i = 0; rc == 0 && i < f.store.n; i++) {
		rc = kube_folder_read(cx, &f, i, &a, &v, err);
		if (rc == 0 && is_selected(s->args, &v))
			rc = take(s, &v, &a, err);
		arena_reset(&a);
	}
	kube_folder_close(&f);
	arena_done(&a);
	return rc;
}

static int
walk(struct step_ctx *cx, struct side *s, struct err *err)
{
	struct kube_select selects = selection(s->args, s->in, s->namespaces);
	uint64_t left_out;

	selects.definitions = !s->moves;

	return s->in != NULL ? kube_select_run(cx, &selects, take_objects, s, &left_out, err) : walk_folder(cx, s, err);
}

static int
take_sum(struct side *s, const struct value *object, const char *path, struct err *err)
{
	buf_clear(&s->text);
	if (kube_yaml_write(&s->text, object, err) < 0)
		return err_wrap(err, "%s", path);
	kube_store_add(&s->store, path, (struct bytes){ s->text.p, s->text.len });
	return 0;
}

static int
take_wanted(struct side *s, const struct value *object, const char *path, struct err *err)
{
	const uint32_t at = map_get(s->wanted, path, strlen(path));

	(void)err;
	if (at != MAP_NONE)
		s->objects[at] = value_copy(s->keep, object);
	return 0;
}

/* ---- the difference ---- */

struct differences {
	const char *path, *what; /* what: missing, extra, changed */
};

struct found {
	struct differences *list; /* the first ones */
	size_t n, cap;
	uint64_t count[3], equal;
};

static const char *const whats[] = { "missing", "extra", "changed" };

static void
note(struct found *f, const char *path, size_t what)
{
	f->count[what]++;
	if (f->n < f->cap)
		f->list[f->n++] = (struct differences){ path, whats[what] };
}

/* Both are sorted. */
static void
merge(const struct compare_args *a, const struct kube_store *want, const struct kube_store *have, struct found *f)
{
	uint32_t i = 0, k = 0;

	while (i < want->n || k < have->n) {
		const int c = i == want->n ? 1 : k == have->n ? -1 : strcmp(want->files[i].path, have->files[k].path);

		if (c < 0)
			note(f, want->files[i].path, 0);
		else if (c > 0 && !a->extra && strncmp(have->files[k].path, DEFINITION, strlen(DEFINITION)) != 0)
			note(f, have->files[k].path, 1);
		else if (c == 0 && memcmp(want->files[i].sha256, have->files[k].sha256, SHA256_LEN) != 0)
			note(f, want->files[i].path, 2);
		else if (c == 0)
			f->equal++;
		i += c <= 0;
		k += c >= 0;
	}
}

/* Where the changed ones differ: a text for each of the list. */
static int
look_closer(struct step_ctx *cx, struct side sides[2], const struct found *f, const char **fields, struct err *err)
{
	struct map wanted = MAP_INIT;
	struct arena keep = ARENA_INIT;
	struct buf text = BUF_INIT(400);
	int rc = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].what == whats[2])
			(void)map_add(&wanted, f->list[i].path, strlen(f->list[i].path), (uint32_t)i);
	for (size_t k = 0; rc == 0 && k < 2 && f->count[2] > 0; k++) {
		sides[k].objects = arena_array(&keep, f->n + 1, sizeof(struct value));
		sides[k].wanted = &wanted;
		sides[k].keep = &keep;
		sides[k].take = take_wanted;
		rc = walk(cx, &sides[k], err);
	}
	for (size_t i = 0; rc == 0 && i < f->n; i++) {
		fields[i] = "";
		if (f->list[i].what != whats[2])
			continue;
		buf_clear(&text);
		kube_differ_paths(&text, &sides[0].objects[i], &sides[1].objects[i], FIELDS);
		fields[i] = arena_strndup(step_arena(cx), text.len > 0 ? text.p : "", text.len);
	}
	map_done(&wanted);
	buf_done(&text);
	arena_done(&keep);
	return rc;
}

static struct value
as_list(struct step_ctx *cx, const struct found *f, const char *const *fields)
{
	struct value *items = arena_array(step_arena(cx), f->n + 1, sizeof(*items));

	for (size_t i = 0; i < f->n; i++) {
		struct pair *pairs = arena_array(step_arena(cx), 3, sizeof(*pairs));
		const size_t len = strlen(f->list[i].path) - strlen(".yaml");

		pairs[0] = (struct pair){ "object", value_str(arena_strndup(step_arena(cx), f->list[i].path, len)) };
		pairs[1] = (struct pair){ "what", value_str(f->list[i].what) };
		pairs[2] = (struct pair){ "fields", value_str(fields[i]) };
		items[i] = value_map(pairs, 3);
	}
	return value_list(items, f->n);
}

static int
judge(const struct compare_args *a, const struct found *f, const struct value *list, struct err *err)
{
	struct buf text = BUF_INIT(420);

	if (f->count[0] + f->count[1] + f->count[2] == 0 || strcmp(a->differences, "allowed") == 0)
		return 0;
	for (uint32_t i = 0; i < list->len; i++) {
		const char *fields = value_get_str(&list->items[i], "fields", "");

		buf_printf(&text, "%s%s %s%s%s", i > 0 ? "; " : "", value_get_str(&list->items[i], "object", ""),
			   value_get_str(&list->items[i], "what", ""), fields[0] != '\0' ? ": " : "", fields);
	}
	err_set(err, ERR_FAILED, "%" PRIu64 " objects are missing, %" PRIu64 " extra, %" PRIu64 " changed, %" PRIu64 " equal: %.420s%s", f->count[0],
		f->count[1], f->count[2], f->equal, text.len > 0 ? text.p : "", text.failed ? "…" : "");
	buf_done(&text);
	return -1;
}

static int
put_outputs(struct step_ctx *cx, const struct found *f, struct value list, bool known, struct err *err)
{
	const struct value unknown = value_unknown("an earlier step changes what is compared");

	for (size_t i = 0; i < countof(whats); i++)
		if (step_output(cx, whats[i], known ? value_int((int64_t)f->count[i]) : unknown, err) < 0)
			return -1;
	if (step_output(cx, "equal", known ? value_int((int64_t)f->equal) : unknown, err) < 0)
		return -1;
	return step_output(cx, "differences", known ? list : unknown, err);
}

/* The names of the namespaces as the cluster `in` has them. */
static const struct value *
names_there(struct step_ctx *cx, const struct compare_args *a)
{
	struct value *items, *ret;

	if (a->namespaces == NULL || a->moved == NULL)
		return a->namespaces;
	items = arena_array(step_arena(cx), a->namespaces->len + 1, sizeof(*items));
	for (uint32_t i = 0; i < a->namespaces->len; i++)
		items[i] = value_str(value_get_str(a->moved, a->namespaces->items[i].s, a->namespaces->items[i].s));
	ret = arena_alloc(step_arena(cx), sizeof(*ret));
	*ret = value_list(items, a->namespaces->len);
	return ret;
}

static int
compare_run(struct step_ctx *cx, const void *args, struct err *err)
{
	const struct compare_args *a = args;
	struct side sides[2] = { { .args = a, .in = a->from, .namespaces = a->namespaces, .moves = true },
				 { .args = a, .in = a->in, .namespaces = names_there(cx, a) } };
	struct found f = { .cap = (size_t)a->limit, .list = arena_array(step_arena(cx), (size_t)a->limit, sizeof(*f.list)) };
	const char **fields = arena_array(step_arena(cx), (size_t)a->limit, sizeof(*fields));
	struct value list = VALUE_NULL;
	int rc = 0;

	for (size_t k = 0; k < 2; k++) {
		pthread_mutex_init(&sides[k].lock, NULL);
		sides[k].take = take_sum;
		sides[k].text = BUF_INIT(0);
		if (rc == 0)
			rc = walk(cx, &sides[k], err);
		kube_store_sort(&sides[k].store);
	}
	if (rc == 0) {
		merge(a, &sides[0].store, &sides[1].store, &f);
		rc = look_closer(cx, sides, &f, fields, err);
	}
	if (rc == 0) {
		list = as_list(cx, &f, fields);
		rc = put_outputs(cx, &f, list, true, err);
	}
	if (rc == 0)
		rc = judge(a, &f, &list, err);
	if (rc < 0 && err->kind == ERR_PREDICTED) {
		*err = ERR_INIT;
		step_assume(cx, "both sides are equal then");
		rc = put_outputs(cx, &f, list, false, err);
	}
	for (size_t k = 0; k < 2; k++) {
		pthread_mutex_destroy(&sides[k].lock);
		kube_store_done(&sides[k].store);
		buf_done(&sides[k].text);
	}
	return rc;
}

static const char *const differences_words[] = { "refused", "allowed", NULL };

static const struct field compare_inputs[] = {
	{ "in", F_TARGET, .offset = offsetof(struct compare_args, in), .required = true, .kind = "kubernetes",
	  .help = "the cluster that is looked at" },
	{ "from", F_TARGET, .offset = offsetof(struct compare_args, from), .kind = "kubernetes", .help = "the cluster that it is to be like" },
	{ "folder", F_PATH, .offset = offsetof(struct compare_args, folder), .help = "or the folder that kubernetes.export made" },
	{ "namespaces", F_LIST, F_STRING, offsetof(struct compare_args, namespaces), .help = "which namespaces, as the other side calls them" },
	{ "all_namespaces", F_BOOL, .offset = offsetof(struct compare_args, all_namespaces),
	  .help = "every namespace but kube-system, kube-public and kube-node-lease" },
	{ "moved", F_MAP, .offset = offsetof(struct compare_args, moved), .help = "what these namespaces are called here, {there: here}" },
	{ "kinds", F_LIST, F_STRING, offsetof(struct compare_args, kinds), .help = "only these kinds, as kubernetes.export takes them" },
	{ "selector", F_STRING, .offset = offsetof(struct compare_args, selector), .help = "only objects of clusters that this label selector selects" },
	{ "cluster_kinds", F_LIST, F_STRING, offsetof(struct compare_args, cluster_kinds), .help = "as for kubernetes.export" },
	{ "cluster_selector", F_STRING, .offset = offsetof(struct compare_args, cluster_selector), .help = "as for kubernetes.export" },
	{ "ignore", F_LIST, F_STRING, offsetof(struct compare_args, ignore),
	  .help = "fields that do not count: spec.replicas, spec.template.spec.containers.*.image, metadata.annotations[a.example.org/b]" },
	{ "secrets", F_BOOL, .offset = offsetof(struct compare_args, secrets), .dflt = "true", .help = "compare Secrets, too; what they hold is never told" },
	{ "extra", F_BOOL, .offset = offsetof(struct compare_args, extra), .help = "there may be more objects here than there" },
	{ "owned", F_BOOL, .offset = offsetof(struct compare_args, owned), .help = "as for kubernetes.export" },
	{ "finished", F_BOOL, .offset = offsetof(struct compare_args, finished), .dflt = "true", .help = "as for kubernetes.export" },
	{ "volumes", F_BOOL, .offset = offsetof(struct compare_args, volumes), .help = "as for kubernetes.export" },
	{ "differences", F_STRING, .offset = offsetof(struct compare_args, differences), .dflt = "refused", .choices = differences_words,
	  .help = "refused fails where there is one, allowed only tells them" },
	{ "limit", F_INT, .offset = offsetof(struct compare_args, limit), .dflt = "100", .min = 1, .max = 10000,
	  .help = "how many differences are told one by one; all are counted" },
	{ "parallel", F_INT, .offset = offsetof(struct compare_args, parallel), .dflt = "4", .min = 1, .max = 64,
	  .help = "how many lists are read at a time" },
	{ 0 },
};

static const struct field compare_outputs[] = {
	{ "equal", F_INT, .help = "how many objects are the same" },
	{ "missing", F_INT, .help = "how many are only on the other side" },
	{ "extra", F_INT, .help = "how many are only here" },
	{ "changed", F_INT, .help = "how many differ" },
	{ "differences", F_LIST, F_MAP, .help = "the first of them, {object, what: missing, extra or changed, fields: which}" },
	{ 0 },
};

const struct step_type kubernetes_compare_step = {
	.name = "kubernetes.compare",
	.summary = "see whether a cluster holds the same objects as another one, or as an export",
	.inputs = compare_inputs,
	.outputs = compare_outputs,
	.args_size = sizeof(struct compare_args),
	.flags = STEP_READ_ONLY,
	.version = 1,
	.run = compare_run,
	.check = compare_check,
};
