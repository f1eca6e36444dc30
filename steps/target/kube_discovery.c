/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what discovery documents say (apidiscovery.k8s.io/v2, and meta/v1 APIResourceList), and which kind a name means.
 * Pure. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "steps/target/kube_kinds.h"

#define CANDIDATES_MAX 8

static const char *const no_words[] = { NULL };

bool
kube_kinds_is_word(const char *s, const char *more)
{
	const char *p = s;

	while (*p != '\0' && (isalnum((unsigned char)*p) || *p == '-' || *p == '.' || strchr(more, *p) != NULL))
		p++;
	return *s != '\0' && *p == '\0' && s[0] != '.';
}

/* A list of words; what is none is left out. */
static const char *const *
words_of(struct arena *a, const struct value *list)
{
	const char **ret;
	size_t n = 0;

	if (list == NULL || list->kind != V_LIST)
		return no_words;
	ret = arena_array(a, list->len + 1, sizeof(*ret));
	for (uint32_t i = 0; i < list->len; i++)
		if (list->items[i].kind == V_STRING && kube_kinds_is_word(list->items[i].s, ""))
			ret[n++] = list->items[i].s;
	return ret;
}

static void
add(struct kube_found *to, const struct kube_kind *k)
{
	if (!kube_kinds_is_word(k->kind, "") || !kube_kinds_is_word(k->plural, "") || !kube_kinds_is_word(k->version, "") ||
	    (k->group[0] != '\0' && !kube_kinds_is_word(k->group, "")))
		return;
	if (to->n == to->cap) {
		to->cap = to->cap ? to->cap * 2 : 64;
		to->list = xreallocarray(to->list, to->cap, sizeof(*to->list));
	}
	to->list[to->n++] = *k;
}

static const char *const *
aggregated_subresources(struct arena *a, const struct value *list)
{
	const char **ret;
	size_t n = 0;

	if (list == NULL || list->kind != V_LIST)
		return no_words;
	ret = arena_array(a, list->len + 1, sizeof(*ret));
	for (uint32_t i = 0; i < list->len; i++) {
		const char *name = value_get_str(&list->items[i], "subresource", "");

		if (kube_kinds_is_word(name, ""))
			ret[n++] = name;
	}
	return ret;
}

static void
read_aggregated_version(struct arena *a, const char *group, const struct value *version, struct kube_found *to)
{
	const struct value *resources = value_get(version, "resources");

	for (uint32_t i = 0; resources != NULL && resources->kind == V_LIST && i < resources->len; i++) {
		const struct value *r = &resources->items[i];

		add(to, &(struct kube_kind){ .group = group, .version = value_get_str(version, "version", ""),
			.kind = value_get_str(value_get(r, "responseKind"), "kind", ""),
			.plural = value_get_str(r, "resource", ""), .singular = value_get_str(r, "singularResource", ""),
			.namespaced = strcmp(value_get_str(r, "scope", ""), "Namespaced") == 0,
			.subresources = aggregated_subresources(a, value_get(r, "subresources")),
			.verbs = words_of(a, value_get(r, "verbs")), .short_names = words_of(a, value_get(r, "shortNames")) });
	}
}

static int
read_aggregated(struct arena *a, const struct value *doc, struct kube_found *to)
{
	const struct value *items = value_get(doc, "items");

	for (uint32_t i = 0; items != NULL && items->kind == V_LIST && i < items->len; i++) {
		const char *group = value_get_str(value_get(&items->items[i], "metadata"), "name", "");
		const struct value *versions = value_get(&items->items[i], "versions");

		for (uint32_t j = 0; versions != NULL && versions->kind == V_LIST && j < versions->len; j++)
			read_aggregated_version(a, group, &versions->items[j], to);
	}
	return 0;
}

const char *
kube_kinds_stale(struct arena *a, const struct value *doc)
{
	const struct value *items = value_get(doc, "items");
	const char *ret = NULL;

	for (uint32_t i = 0; items != NULL && items->kind == V_LIST && i < items->len; i++) {
		const char *group = value_get_str(value_get(&items->items[i], "metadata"), "name", "");
		const struct value *versions = value_get(&items->items[i], "versions");

		for (uint32_t j = 0; versions != NULL && versions->kind == V_LIST && j < versions->len; j++) {
			const char *version = value_get_str(&versions->items[j], "version", "");

			if (strcmp(value_get_str(&versions->items[j], "freshness", ""), "Stale") == 0 &&
			    kube_kinds_is_word(group, "") && kube_kinds_is_word(version, ""))
				ret = arena_printf(a, "%s%s%s/%s", ret != NULL ? ret : "", ret != NULL ? ", " : "", group, version);
		}
	}
	return ret;
}

/* The subresources of one resource: entries named "plural/subresource". */
static const char *const *
plain_subresources(struct arena *a, const struct value *resources, const char *plural)
{
	const char **ret = arena_array(a, resources->len + 1, sizeof(*ret));
	const size_t len = strlen(plural);
	size_t n = 0;

	for (uint32_t i = 0; i < resources->len; i++) {
		const char *name = value_get_str(&resources->items[i], "name", "");

		if (strncmp(name, plural, len) == 0 && name[len] == '/' && kube_kinds_is_word(name + len + 1, ""))
			ret[n++] = name + len + 1;
	}
	return ret;
}

static int
read_plain(struct arena *a, const struct value *doc, struct kube_found *to)
{
	const char *gv = value_get_str(doc, "groupVersion", ""), *slash = strchr(gv, '/');
	const char *group = slash != NULL ? arena_strndup(a, gv, (size_t)(slash - gv)) : "";
	const struct value *resources = value_get(doc, "resources"), *namespaced;

	for (uint32_t i = 0; resources != NULL && resources->kind == V_LIST && i < resources->len; i++) {
		const struct value *r = &resources->items[i];
		const char *name = value_get_str(r, "name", "");

		if (strchr(name, '/') != NULL)
			continue;
		namespaced = value_get(r, "namespaced");
		add(to, &(struct kube_kind){ .group = group, .version = slash != NULL ? slash + 1 : gv,
			.kind = value_get_str(r, "kind", ""), .plural = name, .singular = value_get_str(r, "singularName", ""),
			.namespaced = namespaced != NULL && value_true(namespaced),
			.subresources = plain_subresources(a, resources, name), .verbs = words_of(a, value_get(r, "verbs")),
			.short_names = words_of(a, value_get(r, "shortNames")) });
	}
	return 0;
}

int
kube_kinds_read(struct arena *a, const struct value *doc, struct kube_found *to, struct err *err)
{
	const char *kind = value_get_str(doc, "kind", "");

	if (strcmp(kind, "APIGroupDiscoveryList") == 0)
		return read_aggregated(a, doc, to);
	if (strcmp(kind, "APIResourceList") == 0)
		return read_plain(a, doc, to);
	return err_set(err, ERR_FAILED, "the server's list of kinds is none: its kind is '%s'",
		       text_safe(a, kind, strlen(kind), 60));
}

void
kube_kinds_prefer(struct kube_found *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct kube_kind *k = &all->list[i];
		size_t j = 0;

		while (j < i && (strcmp(all->list[j].group, k->group) != 0 || strcmp(all->list[j].plural, k->plural) != 0))
			j++;
		k->preferred = j == i;
	}
}

/* Does "version.group" or "group", after the kind's name, mean this one? NULL: any group, in its preferred version. */
static bool
is_of(const struct kube_kind *k, const char *rest)
{
	const size_t len = strlen(k->version);

	if (rest == NULL)
		return k->preferred;
	if (k->preferred && k->group[0] != '\0' && strcasecmp(rest, k->group) == 0)
		return true;
	if (strncasecmp(rest, k->version, len) != 0)
		return false;
	rest += len;
	return (rest[0] == '\0' && k->group[0] == '\0') || (rest[0] == '.' && strcasecmp(rest + 1, k->group) == 0);
}

static bool
is_short_name(const struct kube_kind *k, const char *name)
{
	for (const char *const *s = k->short_names; *s != NULL; s++)
		if (strcasecmp(*s, name) == 0)
			return true;
	return false;
}

static bool
is_own(const struct kube_kind *k)
{
	const size_t len = strlen(k->group);

	return strchr(k->group, '.') == NULL || (len > 7 && strcmp(k->group + len - 7, ".k8s.io") == 0);
}

static int
ambiguous(const struct kube_kind *const *found, size_t n, const char *name, struct err *err)
{
	struct buf names = BUF_INIT(0);
	int rc;

	for (size_t i = 0; i < n && i < CANDIDATES_MAX; i++)
		buf_printf(&names, "%s%s.%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", found[i]->kind, found[i]->group);
	rc = err_set(err, ERR_FAILED, "'%s' may be %s: name it with its group", name, names.p);
	buf_done(&names);
	return rc;
}

int
kube_kinds_choose(const struct kube_kind *const *list, size_t n, const char *name, const struct kube_kind **ret,
		  struct err *err)
{
	const struct kube_kind **found = xcalloc(n + 1, sizeof(*found));
	const char *dot = strchr(name, '.');
	char *word = xstrndup(name, dot != NULL ? (size_t)(dot - name) : strlen(name));
	size_t nfound = 0;
	int rc = 1;

	for (int round = 0; round < 2 && nfound == 0 && word[0] != '\0'; round++) /* short names count where nothing else has the name */
		for (size_t i = 0; i < n; i++)
			if (is_of(list[i], dot != NULL ? dot + 1 : NULL) &&
			    (round == 1 ? is_short_name(list[i], word) : strcasecmp(list[i]->kind, word) == 0 ||
			     strcasecmp(list[i]->plural, word) == 0 || strcasecmp(list[i]->singular, word) == 0))
				found[nfound++] = list[i];
	for (size_t i = 0; rc == 1 && i < nfound; i++)
		if (nfound == 1 || found[i]->group[0] == '\0') {
			*ret = found[i];
			rc = 0;
		}
	for (size_t i = 0; rc == 1 && i < nfound; i++)
		if (is_own(found[i])) {
			*ret = found[i];
			rc = 0;
		}
	if (rc == 1 && nfound > 0)
		rc = ambiguous(found, nfound, word, err);
	free(word);
	free(found);
	return rc;
}
