/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patches and JSON patches on values, for images: what the server would make of an object, and whether it is so
 * already. Values are immutable, so a patch makes a new path from the root down and shares all else. */
#include "steps/target/kube_patch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct value *
kube_member(const struct value *map, const char *key, uint32_t *hint)
{
	if (map == NULL || map->kind != V_MAP)
		return NULL;
	for (uint32_t i = 0, at = *hint; i < map->len; i++, at++) {
		at = at < map->len ? at : at % map->len;
		if (strcmp(map->pairs[at].key, key) == 0) {
			*hint = at + 1;
			return &map->pairs[at].v;
		}
	}
	return NULL;
}

struct value
kube_set(struct arena *a, const struct value *map, const char *key, const struct value *v)
{
	const uint32_t len = map != NULL && map->kind == V_MAP ? map->len : 0;
	struct pair *pairs = arena_array(a, len + 1, sizeof(*pairs));
	bool found = false;
	size_t n = 0;

	for (uint32_t i = 0; i < len; i++) {
		const bool is = strcmp(map->pairs[i].key, key) == 0;

		found = found || is;
		if (!is)
			pairs[n++] = map->pairs[i];
		else if (v != NULL)
			pairs[n++] = (struct pair){ map->pairs[i].key, *v };
	}
	if (!found && v != NULL)
		pairs[n++] = (struct pair){ key, *v };
	return value_map(pairs, n);
}

const struct value *
kube_meta(const struct value *object, const char *key)
{
	const struct value *meta = value_get(object, "metadata");

	return meta != NULL ? value_get(meta, key) : NULL;
}

const char *
kube_meta_str(const struct value *object, const char *key)
{
	const struct value *v = kube_meta(object, key);

	return v != NULL && v->kind == V_STRING ? v->s : "";
}

struct value
kube_merge_patch(struct arena *a, const struct value *target, const struct value *patch)
{
	const uint32_t len = target != NULL && target->kind == V_MAP ? target->len : 0;
	struct pair *pairs;
	const struct value *v;
	uint32_t hint = 0;
	size_t n = 0;

	if (patch->kind != V_MAP)
		return *patch;
	pairs = arena_array(a, (size_t)len + patch->len + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < len; i++) {
		v = kube_member(patch, target->pairs[i].key, &hint);
		if (v == NULL)
			pairs[n++] = target->pairs[i];
		else if (v->kind != V_NULL)
			pairs[n++] = (struct pair){ target->pairs[i].key, kube_merge_patch(a, &target->pairs[i].v, v) };
	}
	hint = 0;
	for (uint32_t i = 0; i < patch->len; i++)
		if (patch->pairs[i].v.kind != V_NULL && kube_member(target, patch->pairs[i].key, &hint) == NULL)
			pairs[n++] = (struct pair){ patch->pairs[i].key, kube_merge_patch(a, NULL, &patch->pairs[i].v) };
	return value_map(pairs, n);
}

int
kube_pointer(struct arena *a, const char *pointer, const char *const **ret, size_t *ret_n)
{
	const char **tokens = arena_array(a, strlen(pointer) + 1, sizeof(*tokens));
	const char *end;
	char *to;

	*ret = tokens;
	*ret_n = 0;
	while (*pointer == '/') {
		end = pointer + 1 + strcspn(pointer + 1, "/");
		to = arena_alloc(a, (size_t)(end - pointer));
		tokens[(*ret_n)++] = to;
		for (pointer++; pointer < end; pointer++) {
			if (*pointer == '~' && pointer[1] != '0' && pointer[1] != '1')
				return -1;
			*to++ = *pointer != '~' ? *pointer : *++pointer == '0' ? '~' : '/';
		}
	}
	return *pointer == '\0' ? 0 : -1;
}

/* The place of a token in a list: an index, or its end. -1 for anything else. */
static int64_t
list_place(const char *token, uint32_t len, bool end_too)
{
	char *end;
	long long n;

	if (strcmp(token, "-") == 0)
		return end_too ? (int64_t)len : -1;
	if (token[0] < '0' || token[0] > '9' || (token[0] == '0' && token[1] != '\0') || strlen(token) > 9)
		return -1;
	n = strtoll(token, &end, 10);
	return *end == '\0' && n < (long long)len + end_too ? n : -1;
}

static const struct value *
child_of(const struct value *doc, const char *token)
{
	const int64_t at = doc->kind == V_LIST ? list_place(token, doc->len, false) : -1;

	return doc->kind == V_MAP ? value_get(doc, token) : at >= 0 ? &doc->items[at] : NULL;
}

static const struct value *
at_pointer(const struct value *doc, const char *const *tokens, size_t n)
{
	for (size_t i = 0; i < n && doc != NULL; i++)
		doc = child_of(doc, tokens[i]);
	return doc;
}

/* One item in, over or out (v NULL) of a list. */
static struct value
splice(struct arena *a, const struct value *list, uint32_t at, bool over, const struct value *v)
{
	struct value *items = arena_array(a, (size_t)list->len + 1, sizeof(*items));
	size_t n = 0;

	for (uint32_t i = 0; i < list->len; i++) {
		if (i == at && v != NULL)
			items[n++] = *v;
		if (i != at || !over)
			items[n++] = list->items[i];
	}
	if (at == list->len && v != NULL)
		items[n++] = *v;
	return value_list(items, n);
}

enum edit { EDIT_ADD, EDIT_REPLACE, EDIT_REMOVE };

/* doc with the place of the tokens edited. */
static int
edit_at(struct arena *a, const struct value *doc, const char *const *tokens, size_t n, enum edit edit, const struct value *v,
	struct value *ret)
{
	const struct value *child;
	struct value inner;
	int64_t at;

	if (n == 0) {
		*ret = v != NULL ? *v : VALUE_NULL;
		return 0;
	}
	child = child_of(doc, tokens[0]);
	if (n > 1) {
		if (child == NULL || edit_at(a, child, tokens + 1, n - 1, edit, v, &inner) < 0)
			return -1;
		v = &inner;
		edit = EDIT_REPLACE;
	}
	if (child == NULL && edit != EDIT_ADD)
		return -1;
	if (doc->kind == V_MAP) {
		*ret = kube_set(a, doc, tokens[0], v);
		return 0;
	}
	if (doc->kind != V_LIST)
		return -1;
	at = list_place(tokens[0], doc->len, edit == EDIT_ADD);
	if (at < 0)
		return -1;
	*ret = splice(a, doc, (uint32_t)at, edit != EDIT_ADD, v);
	return 0;
}

struct op {
	const char *name;
	const char *const *path, *const *from;
	size_t npath, nfrom;
	const struct value *value;
};

static int
read_op(struct arena *a, const struct value *op, struct op *ret, struct err *err)
{
	const char *path = value_get_str(op, "path", NULL), *from = value_get_str(op, "from", NULL);

	*ret = (struct op){ .name = value_get_str(op, "op", ""), .value = value_get(op, "value") };
	if (path == NULL || kube_pointer(a, path, &ret->path, &ret->npath) < 0)
		return err_set(err, ERR_PLAN, "'path' is no JSON pointer such as /spec/replicas");
	if (strcmp(ret->name, "move") == 0 || strcmp(ret->name, "copy") == 0) {
		if (from == NULL || kube_pointer(a, from, &ret->from, &ret->nfrom) < 0)
			return err_set(err, ERR_PLAN, "'from' is no JSON pointer such as /spec/replicas");
	} else if (strcmp(ret->name, "remove") != 0 && ret->value == NULL) {
		return err_set(err, ERR_PLAN, "'value' is missing");
	}
	return 0;
}

static size_t
depth_of(const struct value *v)
{
	size_t most = 0, n;

	for (uint32_t i = 0; (v->kind == V_LIST || v->kind == V_MAP) && i < v->len; i++) {
		n = depth_of(v->kind == V_LIST ? &v->items[i] : &v->pairs[i].v);
		most = n > most ? n : most;
	}
	return most + 1;
}

static int
run_op(struct arena *a, const struct op *op, struct value *doc, struct err *err)
{
	const struct value *from = op->from != NULL ? at_pointer(doc, op->from, op->nfrom) : NULL, *at;
	struct value moved;
	int rc;

	if (strcmp(op->name, "test") == 0) {
		at = at_pointer(doc, op->path, op->npath);
		return at != NULL && value_eq(at, op->value) ? 0 : err_set(err, ERR_FAILED, "the test does not hold");
	}
	if (op->from != NULL && from == NULL)
		return err_set(err, ERR_FAILED, "'from' is not there");
	if (from != NULL && depth_of(from) + op->npath > VALUE_MAX_DEPTH)
		return err_set(err, ERR_PLAN, "what it makes is too deep");
	if (from != NULL)
		moved = *from;
	if (strcmp(op->name, "add") == 0 || strcmp(op->name, "copy") == 0)
		rc = edit_at(a, doc, op->path, op->npath, EDIT_ADD, from != NULL ? &moved : op->value, doc);
	else if (strcmp(op->name, "replace") == 0)
		rc = edit_at(a, doc, op->path, op->npath, EDIT_REPLACE, op->value, doc);
	else if (strcmp(op->name, "remove") == 0)
		rc = edit_at(a, doc, op->path, op->npath, EDIT_REMOVE, NULL, doc);
	else if (strcmp(op->name, "move") == 0)
		rc = edit_at(a, doc, op->from, op->nfrom, EDIT_REMOVE, NULL, doc) < 0 ? -1
		     : edit_at(a, doc, op->path, op->npath, EDIT_ADD, &moved, doc);
	else
		return err_set(err, ERR_PLAN, "'op' is none of add, remove, replace, move, copy, test");
	return rc < 0 ? err_set(err, ERR_FAILED, "its path is not there") : 0;
}

int
kube_json_patch(struct arena *a, const struct value *target, const struct value *ops, struct value *ret, struct err *err)
{
	struct op op;

	if (ops->kind != V_LIST)
		return err_set(err, ERR_PLAN, "a json patch is a list of operations");
	*ret = *target;
	for (uint32_t i = 0; i < ops->len; i++)
		if (read_op(a, &ops->items[i], &op, err) < 0 || run_op(a, &op, ret, err) < 0)
			return err_wrap(err, "operation %" PRIu32 " of the patch", i + 1);
	return 0;
}
