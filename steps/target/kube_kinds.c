/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of a server's kinds: the table, read once and anew when a name is not in it, and its kinds, which stay
 * the same pointers as long as the server says the same of them. */
#include "steps/target/kube_kinds.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"

#define AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
#define READ_EVERY NS_PER_S /* a name that is not known is asked for by many at once, or in a loop */
#define NAMES_MAX 10000     /* remembered: what people write, and plans make */

struct kube_kinds {
	pthread_mutex_t lock, reading; /* reading: held over the requests, taken first */
	struct arena arena;            /* kinds that were seen, with their strings */
	struct map seen;               /* plural.version.group: index in kinds */
	const struct kube_kind **kinds;
	uint32_t nkinds, kinds_cap;
	const struct kube_kind **table; /* as the server has them now, in its order */
	size_t ntable;
	struct arena names_arena;
	struct map names;              /* as asked for: index in table */
	const char *missing;           /* groups that could not be read, or NULL */
	int64_t read_at;               /* 0: to be read */
};

struct kube_kinds *
kube_kinds_new(void)
{
	struct kube_kinds *k = xcalloc(1, sizeof(*k));

	pthread_mutex_init(&k->lock, NULL);
	pthread_mutex_init(&k->reading, NULL);
	return k;
}

void
kube_kinds_free(struct kube_kinds *k)
{
	if (k == NULL)
		return;
	map_done(&k->seen);
	map_done(&k->names);
	free(k->kinds);
	free(k->table);
	arena_done(&k->arena);
	arena_done(&k->names_arena);
	pthread_mutex_destroy(&k->lock);
	pthread_mutex_destroy(&k->reading);
	free(k);
}

bool
kube_kind_has(const char *const *list, const char *word)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static bool
same_words(const char *const *a, const char *const *b)
{
	for (; *a != NULL && *b != NULL && strcmp(*a, *b) == 0; a++, b++)
		;
	return *a == NULL && *b == NULL;
}

static bool
same_kind(const struct kube_kind *a, const struct kube_kind *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->singular, b->singular) == 0 && a->namespaced == b->namespaced &&
	       a->preferred == b->preferred && same_words(a->subresources, b->subresources) &&
	       same_words(a->verbs, b->verbs) && same_words(a->short_names, b->short_names);
}

static const char *const *
copy_words(struct arena *a, const char *const *words)
{
	const char **ret;
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	ret = arena_array(a, n + 1, sizeof(*ret));
	for (size_t i = 0; i < n; i++)
		ret[i] = arena_strdup(a, words[i]);
	return ret;
}

/* The one pointer for a kind as it is; what it was before stays, others may hold it. The caller holds the lock. */
static const struct kube_kind *
keep(struct kube_kinds *k, const struct kube_kind *new)
{
	const char *key = arena_printf(&k->names_arena, "%s.%s.%s", new->plural, new->version, new->group);
	const uint32_t at = map_keep(&k->seen, &k->arena, key, strlen(key), k->nkinds, &key);
	struct kube_kind *mine;

	if (at != MAP_NONE && same_kind(k->kinds[at], new))
		return k->kinds[at];
	mine = arena_alloc(&k->arena, sizeof(*mine));
	*mine = (struct kube_kind){ .group = arena_strdup(&k->arena, new->group),
		.version = arena_strdup(&k->arena, new->version), .kind = arena_strdup(&k->arena, new->kind),
		.plural = arena_strdup(&k->arena, new->plural), .singular = arena_strdup(&k->arena, new->singular),
		.namespaced = new->namespaced, .preferred = new->preferred,
		.subresources = copy_words(&k->arena, new->subresources), .verbs = copy_words(&k->arena, new->verbs),
		.short_names = copy_words(&k->arena, new->short_names) };
	if (at != MAP_NONE)
		return k->kinds[at] = mine;
	if (k->nkinds == k->kinds_cap) {
		k->kinds_cap = k->kinds_cap ? k->kinds_cap * 2 : 128;
		k->kinds = xreallocarray(k->kinds, k->kinds_cap, sizeof(struct kube_kind *));
	}
	return k->kinds[k->nkinds++] = mine;
}

/* What one reading finds. */
struct reading {
	struct arena arena;
	struct kube_found found;
	struct buf missing;
};

/* A group that cannot be read (its server is away, or keeps it from us) must not hide the others. */
static int
miss(struct reading *r, const char *what, struct err *err)
{
	if (err->kind != ERR_FAILED)
		return -1;
	buf_printf(&r->missing, "%s%s", r->missing.len > 0 ? ", " : "", what);
	*err = ERR_INIT;
	return 0;
}

/* One group and version of a server without aggregated documents. */
static int
read_version(struct opctx *op, struct kube_conn *c, const char *url, struct reading *r, struct err *err)
{
	struct value doc;

	if (kube_get(op, c, url, &doc, NULL, err) < 0 || kube_kinds_read(&r->arena, &doc, &r->found, err) < 0)
		return miss(r, url, err);
	return 0;
}

/* The versions of a group, the preferred one first. */
static int
read_group(struct opctx *op, struct kube_conn *c, const struct value *group, struct reading *r, struct err *err)
{
	const struct value *versions = value_get(group, "versions");
	const char *first = value_get_str(value_get(group, "preferredVersion"), "groupVersion", "");

	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; versions != NULL && versions->kind == V_LIST && i < versions->len; i++) {
			const char *gv = value_get_str(&versions->items[i], "groupVersion", "");

			if (gv[0] == '\0' || (strcmp(gv, first) == 0) != (round == 0) || !kube_kinds_is_word(gv, "/"))
				continue;
			if (read_version(op, c, arena_printf(&r->arena, "/apis/%s", gv), r, err) < 0)
				return -1;
		}
	return 0;
}

static int
read_root(struct opctx *op, struct kube_conn *c, const char *url, struct reading *r, struct err *err)
{
	const struct value *versions, *groups;
	const char *kind;
	struct value doc;

	if (kube_get_as(op, c, url, AGGREGATED, &doc, NULL, err) < 0)
		return -1;
	kind = value_get_str(&doc, "kind", "");
	if (strcmp(kind, "APIVersions") != 0 && strcmp(kind, "APIGroupList") != 0) {
		const char *stale = kube_kinds_stale(&r->arena, &doc);

		if (stale != NULL)
			buf_printf(&r->missing, "%s%s", r->missing.len > 0 ? ", " : "", stale);
		return kube_kinds_read(&r->arena, &doc, &r->found, err);
	}
	versions = value_get(&doc, "versions");
	for (uint32_t i = 0; versions != NULL && versions->kind == V_LIST && i < versions->len; i++)
		if (versions->items[i].kind == V_STRING && kube_kinds_is_word(versions->items[i].s, "") &&
		    read_version(op, c, arena_printf(&r->arena, "%s/%s", url, versions->items[i].s), r, err) < 0)
			return -1;
	groups = value_get(&doc, "groups");
	for (uint32_t i = 0; groups != NULL && groups->kind == V_LIST && i < groups->len; i++)
		if (read_group(op, c, &groups->items[i], r, err) < 0)
			return -1;
	return 0;
}

static void
replace_table(struct kube_kinds *k, const struct reading *r)
{
	pthread_mutex_lock(&k->lock);
	arena_reset(&k->names_arena);
	map_done(&k->names);
	k->names = MAP_INIT;
	free(k->table);
	k->table = xcalloc(r->found.n + 1, sizeof(struct kube_kind *));
	for (k->ntable = 0; k->ntable < r->found.n; k->ntable++)
		k->table[k->ntable] = keep(k, &r->found.list[k->ntable]);
	k->missing = r->missing.len > 0 ? arena_strndup(&k->names_arena, r->missing.p, r->missing.len) : NULL;
	k->read_at = clock_now();
	pthread_mutex_unlock(&k->lock);
}

/* Read the server's documents, unless that was done since `seen`. */
static int
read_all(struct opctx *op, struct kube_conn *c, struct kube_kinds *k, int64_t seen, struct err *err)
{
	struct reading r = { .arena = ARENA_INIT, .missing = BUF_INIT(0) };
	struct arena *const mine = op->arena;
	int rc = 0;

	pthread_mutex_lock(&k->reading);
	pthread_mutex_lock(&k->lock);
	if (k->read_at > seen) {
		pthread_mutex_unlock(&k->lock);
		goto out;
	}
	pthread_mutex_unlock(&k->lock);
	op->arena = &r.arena;
	rc = read_root(op, c, "/api", &r, err) < 0 || read_root(op, c, "/apis", &r, err) < 0 ? -1 : 0;
	op->arena = mine;
	if (rc == 0) {
		kube_kinds_prefer(&r.found);
		replace_table(k, &r);
	}
out:
	pthread_mutex_unlock(&k->reading);
	buf_done(&r.missing);
	free(r.found.list);
	arena_done(&r.arena);
	return rc;
}

void
kube_kinds_forget(struct kube_conn *c)
{
	struct kube_kinds *k = kube_conn_kinds(c);

	pthread_mutex_lock(&k->lock);
	k->read_at = 0;
	pthread_mutex_unlock(&k->lock);
}

/* Look in the table as it is. 1: not there, or there is none yet; ret_seen tells when it was read. */
static int
look(struct kube_kinds *k, const char *name, const struct kube_kind **ret, int64_t *ret_seen, struct err *err)
{
	uint32_t at;
	int rc = 1;

	pthread_mutex_lock(&k->lock);
	*ret_seen = k->read_at;
	if (k->read_at == 0)
		goto out;
	at = map_get(&k->names, name, strlen(name));
	if (at != MAP_NONE) {
		*ret = k->kinds[at];
		rc = 0;
		goto out;
	}
	rc = kube_kinds_choose(k->table, k->ntable, name, ret, err);
	for (at = 0; rc == 0 && k->kinds[at] != *ret; at++)
		;
	if (rc == 0 && k->names.used < NAMES_MAX)
		(void)map_keep(&k->names, &k->names_arena, name, strlen(name), at, &name);
out:
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static int
not_known(struct kube_conn *c, struct kube_kinds *k, const char *name, struct err *err)
{
	struct arena a = ARENA_INIT;
	const char **names, *near, *shown = text_safe(&a, name, strlen(name), 100);

	pthread_mutex_lock(&k->lock);
	names = arena_array(&a, k->ntable * 2, sizeof(*names));
	for (size_t i = 0; i < k->ntable; i++) {
		names[2 * i] = k->table[i]->kind;
		names[2 * i + 1] = k->table[i]->plural;
	}
	near = text_nearest(shown, names, k->ntable * 2);
	(void)err_set(err, ERR_FAILED, "%s has no kind '%s'%s%s%s%s%s", kube_conn_name(c), shown,
		      near != NULL ? ", but '" : "", near != NULL ? near : "", near != NULL ? "'" : "",
		      k->missing != NULL ? "; it could not tell the kinds of " : "", k->missing != NULL ? k->missing : "");
	pthread_mutex_unlock(&k->lock);
	arena_done(&a);
	return -1;
}

int
kube_kind_find(struct opctx *op, struct kube_conn *c, const char *name, const struct kube_kind **ret, struct err *err)
{
	struct kube_kinds *k = kube_conn_kinds(c);
	int64_t seen;
	int rc = look(k, name, ret, &seen, err);

	if (rc == 1 && (seen == 0 || clock_now() - seen > READ_EVERY)) {
		if (read_all(op, c, k, seen, err) < 0)
			return -1;
		rc = look(k, name, ret, &seen, err);
	}
	return rc == 1 ? not_known(c, k, name, err) : rc;
}

int
kube_kinds_all(struct opctx *op, struct kube_conn *c, const struct kube_kind *const **ret, struct err *err)
{
	struct kube_kinds *k = kube_conn_kinds(c);
	const struct kube_kind **list;

	if (read_all(op, c, k, clock_now() - READ_EVERY, err) < 0)
		return -1;
	pthread_mutex_lock(&k->lock);
	list = arena_array(op->arena, k->ntable + 1, sizeof(*list));
	if (k->ntable > 0)
		memcpy(list, k->table, k->ntable * sizeof(struct kube_kind *));
	pthread_mutex_unlock(&k->lock);
	*ret = list;
	return 0;
}
