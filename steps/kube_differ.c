/* SPDX-License-Identifier: Apache-2.0 */
/* Two objects side by side. What fields hold is never told, for it may be secret. */
#include "steps/kube_differ.h"

#include <string.h>

#include "base/text.h"
#include "steps/kube_object.h"

/* ---- another namespace ---- */

/* The map whose member `key` is the name of a namespace. */
static struct value
renamed(struct arena *a, const struct value *map, const char *key, const struct value *namespaces)
{
	const char *name = value_get_str(map, key, NULL), *other = name != NULL ? value_get_str(namespaces, name, NULL) : NULL;

	return other != NULL ? kube_object_with(a, map, key, value_str(other)) : *map;
}

/* The same of every map that is called so (or in a list that is), however deep. */
static struct value
renamed_in(struct arena *a, const struct value *v, const char *field, const struct value *namespaces, bool here)
{
	struct value copy = here && v->kind == V_MAP ? renamed(a, v, "namespace", namespaces) : *v, *items;
	struct pair *pairs;

	if (copy.kind == V_LIST) {
		items = arena_array(a, copy.len + 1, sizeof(*items));
		for (uint32_t i = 0; i < copy.len; i++)
			items[i] = renamed_in(a, &copy.items[i], field, namespaces, here);
		return value_list(items, copy.len);
	}
	if (copy.kind != V_MAP)
		return copy;
	pairs = arena_array(a, copy.len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < copy.len; i++)
		pairs[i] = (struct pair){ copy.pairs[i].key,
			renamed_in(a, &copy.pairs[i].v, field, namespaces, strcmp(copy.pairs[i].key, field) == 0) };
	return value_map(pairs, copy.len);
}

struct value
kube_differ_moved(struct arena *a, const struct value *object, const struct value *namespaces)
{
	static const char *const fields[] = { "subjects", "claimRef", "service" };
	const struct value *metadata = value_get(object, "metadata");
	struct value v = *object;

	if (namespaces == NULL || namespaces->len == 0 || metadata == NULL || metadata->kind != V_MAP)
		return v;
	for (size_t i = 0; i < countof(fields); i++)
		v = renamed_in(a, &v, fields[i], namespaces, false);
	metadata = value_get(&v, "metadata");
	return kube_object_with(a, &v, "metadata",
		    renamed(a, metadata, strcmp(value_get_str(&v, "kind", ""), "Namespace") == 0 ? "name" : "namespace", namespaces));
}

/* ---- from one to the other ---- */

struct value
kube_differ_patch(struct arena *a, const struct value *from, const struct value *to)
{
	struct pair *pairs = arena_array(a, (size_t)from->len + to->len + 1, sizeof(*pairs));
	size_t n = 0;

	for (uint32_t i = 0; i < from->len; i++)
		if (value_get(to, from->pairs[i].key) == NULL)
			pairs[n++] = (struct pair){ from->pairs[i].key, VALUE_NULL };
	for (uint32_t i = 0; i < to->len; i++) {
		const struct value *was = value_get(from, to->pairs[i].key), *is = &to->pairs[i].v;

		if (was == NULL || (!value_eq(was, is) && (was->kind != V_MAP || is->kind != V_MAP)))
			pairs[n++] = to->pairs[i];
		else if (!value_eq(was, is))
			pairs[n++] = (struct pair){ to->pairs[i].key, kube_differ_patch(a, was, is) };
	}
	return value_map(pairs, n);
}

/* ---- what does not count ---- */

/* The first step of a path: its text and where the rest begins (NULL: it was the last). */
static const char *
first_step(const char *path, size_t *ret_len, const char **ret_rest)
{
	const char *end;

	if (*path == '[' && (end = strchr(path, ']')) != NULL) {
		*ret_len = (size_t)(end - path - 1);
		end++;
		path++;
	} else {
		*ret_len = strcspn(path, ".[");
		end = path + *ret_len;
	}
	*ret_rest = *end == '\0' ? NULL : *end == '.' ? end + 1 : end;
	return path;
}

static struct value
without(struct arena *a, const struct value *v, const char *path)
{
	const char *rest, *step;
	struct value *items;
	struct pair *pairs;
	size_t len, n = 0;

	step = first_step(path, &len, &rest);
	if (v->kind == V_LIST && len == 1 && *step == '*' && rest != NULL) {
		items = arena_array(a, v->len + 1, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = without(a, &v->items[i], rest);
		return value_list(items, v->len);
	}
	if (v->kind != V_MAP)
		return *v;
	pairs = arena_array(a, v->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < v->len; i++) {
		const char *key = v->pairs[i].key;
		const bool meant = (len == 1 && *step == '*') || (strlen(key) == len && strncmp(key, step, len) == 0);

		if (!meant)
			pairs[n++] = v->pairs[i];
		else if (rest != NULL)
			pairs[n++] = (struct pair){ key, without(a, &v->pairs[i].v, rest) };
	}
	return value_map(pairs, n);
}

struct value
kube_differ_without(struct arena *a, const struct value *object, const struct value *paths)
{
	struct value v = *object;

	for (uint32_t i = 0; paths != NULL && i < paths->len; i++)
		v = without(a, &v, paths->items[i].s);
	return v;
}

/* ---- where they differ ---- */

struct told {
	struct buf *to;
	unsigned n, max;
};

static void
tell(struct told *t, const char *path)
{
	if (t->n < t->max) {
		buf_puts(t->to, t->n > 0 ? ", " : "");
		text_escape(t->to, path[0] == '.' ? path + 1 : path, strlen(path[0] == '.' ? path + 1 : path));
	} else if (t->n == t->max) {
		buf_puts(t->to, ", …");
	}
	t->n++;
}

static void
differ(struct told *t, struct arena *a, const char *path, const struct value *left, const struct value *right)
{
	if (t->n > t->max || value_eq(left, right))
		return;
	if (left->kind == V_MAP && right->kind == V_MAP) {
		for (uint32_t i = 0; i < left->len + right->len; i++) {
			const bool second = i >= left->len;
			const char *key = second ? right->pairs[i - left->len].key : left->pairs[i].key;
			const struct value *x = value_get(left, key), *y = value_get(right, key);
			const char *inner = arena_printf(a, strchr(key, '.') != NULL ? "%s[%s]" : "%s.%s", path, key);

			if (second && x != NULL)
				continue;
			if (x == NULL || y == NULL)
				tell(t, inner);
			else
				differ(t, a, inner, x, y);
		}
		return;
	}
	for (uint32_t i = 0; left->kind == V_LIST && right->kind == V_LIST && left->len == right->len && i < left->len; i++)
		differ(t, a, arena_printf(a, "%s[%u]", path, i), &left->items[i], &right->items[i]);
	if (left->kind != V_LIST || right->kind != V_LIST || left->len != right->len)
		tell(t, path);
}

void
kube_differ_paths(struct buf *to, const struct value *left, const struct value *right, unsigned max)
{
	struct told t = { .to = to, .max = max };
	struct arena a = ARENA_INIT;

	differ(&t, &a, "", left, right);
	arena_done(&a);
}
