/* SPDX-License-Identifier: Apache-2.0 */
/* Objects on their way from a plan to the server, and back into outputs. What comes back from the server may hold what
 * the plan sent as a secret, in clear: nothing of it reaches an output but through here. */
#include "steps/kube_object.h"

#include <string.h>

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define MASK "(secret)"

const struct value *
kube_object_get(const struct value *object, const char *member, const char *inner)
{
	const struct value *v = value_get(object, member);

	return v != NULL ? value_get(v, inner) : NULL;
}

/* "apps/v1" and Deployment: Deployment.v1.apps; of the core group, the kind alone. */
static const char *
full_kind(struct arena *a, const char *version, const char *kind)
{
	const char *slash = strchr(version, '/');

	if (slash == NULL)
		return kind;
	return arena_printf(a, "%s.%s.%.*s", kind, slash + 1, (int)(slash - version), version);
}

/* A member that has to be a string; *ret NULL where it is not there. */
static int
text_of(const struct value *map, const char *of, const char *member, const char **ret, struct err *err)
{
	const struct value *v = map != NULL ? value_get(map, member) : NULL;

	*ret = NULL;
	if (v == NULL || v->kind == V_NULL)
		return 0;
	if (v->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "%s%s of the object is not known: %s", of, member, v->s);
	if (v->kind != V_STRING || v->len == 0 || strlen(v->s) != v->len)
		return err_set(err, ERR_PLAN, "%s%s of the object is not a text", of, member);
	*ret = v->s;
	return 0;
}

int
kube_object_name(struct arena *a, const struct value *object, const char *namespace, struct kube_name *ret, struct err *err)
{
	const struct value *metadata = value_get(object, "metadata");
	const char *version, *kind, *generate;

	if (object->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "the object is not known: %s", object->s);
	if (metadata != NULL && metadata->kind == V_UNKNOWN)
		return err_set(err, ERR_PREDICTED, "metadata of the object is not known: %s", metadata->s);
	if (text_of(object, "", "apiVersion", &version, err) < 0 || text_of(object, "", "kind", &kind, err) < 0 ||
	    text_of(metadata, "metadata.", "name", &ret->name, err) < 0 ||
	    text_of(metadata, "metadata.", "namespace", &ret->namespace, err) < 0 ||
	    text_of(metadata, "metadata.", "generateName", &generate, err) < 0)
		return -1;
	if (version == NULL || kind == NULL)
		return err_set(err, ERR_PLAN, "the object has no %s", version == NULL ? "apiVersion" : "kind");
	if (generate != NULL || ret->name == NULL)
		return err_set(err, ERR_PLAN, "the %.100s has no metadata.name%s", kind, generate == NULL ? ""
			       : ": a generateName makes another object each time");
	ret->kind = full_kind(a, version, kind);
	if (strchr(kind, '.') != NULL || kube_check_kind(ret->kind, err) < 0)
		return err_set(err, ERR_PLAN, "'%.100s' of apiVersion '%.100s' is not a kind", kind, version);
	if (ret->namespace != NULL && namespace != NULL && strcmp(ret->namespace, namespace) != 0)
		return err_set(err, ERR_PLAN, "%.100s '%.100s' is of namespace '%.63s', and the step's namespace is '%.63s'", kind,
			       ret->name, ret->namespace, namespace);
	if (ret->namespace == NULL)
		ret->namespace = namespace;
	if (strchr(ret->name, '/') != NULL)
		return kube_check_name("", ret->name, err);
	return kube_check(ret, err);
}

static bool
is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* A map without some of its members. */
static struct value
without(struct arena *a, const struct value *map, const char *const *members, size_t n)
{
	struct pair *pairs = arena_array(a, map->len + 1, sizeof(*pairs));
	size_t kept = 0;

	for (uint32_t i = 0; i < map->len; i++)
		if (!is_one_of(map->pairs[i].key, members, n))
			pairs[kept++] = map->pairs[i];
	return value_map(pairs, kept);
}

struct value
kube_object_with(struct arena *a, const struct value *map, const char *key, struct value v)
{
	struct pair *pairs = arena_array(a, map->len + 1, sizeof(*pairs));

	for (uint32_t i = 0; i < map->len; i++)
		pairs[i] = strcmp(map->pairs[i].key, key) == 0 ? (struct pair){ key, v } : map->pairs[i];
	return value_map(pairs, map->len);
}

struct value
kube_object_sent(struct arena *a, const struct value *object)
{
	static const char *const status[] = { "status" };
	static const char *const servers[] = { "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
		"deletionGracePeriodSeconds", "managedFields", "selfLink" };
	const struct value top = without(a, object, status, countof(status));
	const struct value *metadata = value_get(&top, "metadata");

	if (metadata == NULL || metadata->kind != V_MAP)
		return top;
	return kube_object_with(a, &top, "metadata", without(a, metadata, servers, countof(servers)));
}

/* With every leaf masked (all), or those that are secrets. */
static struct value
masked(struct arena *a, const struct value *v, bool all)
{
	struct value *items;
	struct pair *pairs;

	if (v->kind == V_LIST) {
		items = arena_array(a, v->len + 1, sizeof(*items));
		for (uint32_t i = 0; i < v->len; i++)
			items[i] = masked(a, &v->items[i], all);
		return value_list(items, v->len);
	}
	if (v->kind == V_MAP) {
		pairs = arena_array(a, v->len + 1, sizeof(*pairs));
		for (uint32_t i = 0; i < v->len; i++)
			pairs[i] = (struct pair){ v->pairs[i].key, masked(a, &v->pairs[i].v, all) };
		return value_map(pairs, v->len);
	}
	if (v->kind == V_SECRET || (all && v->kind != V_NULL && v->kind != V_UNKNOWN))
		return value_str(MASK);
	return *v;
}

static bool
is_secret(const struct value *object)
{
	return strcmp(value_get_str(object, "kind", ""), "Secret") == 0 && strcmp(value_get_str(object, "apiVersion", ""), "v1") == 0;
}

static struct value
shown_metadata(struct arena *a, const struct value *metadata, bool secret)
{
	static const char *const managed[] = { "managedFields" };
	const struct value ret = without(a, metadata, managed, countof(managed));
	const struct value *annotations = value_get(&ret, "annotations");

	if (!secret || annotations == NULL || annotations->kind != V_MAP)
		return ret;
	return kube_object_with(a, &ret, "annotations", kube_object_with(a, annotations, LAST_APPLIED, value_str(MASK)));
}

struct value
kube_object_shown(struct arena *a, const struct value *object)
{
	static const char *const content[] = { "data", "stringData" };
	const bool secret = is_secret(object);
	const struct value *metadata = value_get(object, "metadata"), *v;
	struct value ret = *object;

	if (metadata != NULL && metadata->kind == V_MAP)
		ret = kube_object_with(a, &ret, "metadata", shown_metadata(a, metadata, secret));
	for (size_t i = 0; secret && i < countof(content); i++)
		if ((v = value_get(&ret, content[i])) != NULL)
			ret = kube_object_with(a, &ret, content[i], masked(a, v, true));
	return (ret.flags & VF_SECRET) != 0 ? masked(a, &ret, false) : ret;
}

struct value
kube_object_output(struct arena *a, const struct value *object, const struct value *body)
{
	static const char *const top[] = { "apiVersion", "kind", "metadata", "status" };
	static const char *const own[] = { "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp" };
	const struct value *metadata = value_get(object, "metadata");
	struct pair *pairs = arena_array(a, countof(top), sizeof(*pairs));
	struct pair *inner = arena_array(a, countof(own), sizeof(*inner));
	size_t n = 0, ninner = 0;
	struct value ret;

	if ((body->flags & VF_SECRET) == 0 || object->kind != V_MAP)
		return kube_object_shown(a, object);
	for (size_t i = 0; metadata != NULL && metadata->kind == V_MAP && i < countof(own); i++)
		if (value_get(metadata, own[i]) != NULL)
			inner[ninner++] = (struct pair){ own[i], *value_get(metadata, own[i]) };
	for (size_t i = 0; i < countof(top); i++)
		if (value_get(object, top[i]) != NULL)
			pairs[n++] = (struct pair){ top[i], metadata == value_get(object, top[i]) ? value_map(inner, ninner)
											      : *value_get(object, top[i]) };
	ret = value_map(pairs, n);
	return kube_object_shown(a, &ret);
}

/* One rule of a label selector as text; false where it is not one. */
static bool
put_rule(struct buf *to, const struct value *rule)
{
	const char *op = value_get_str(rule, "operator", ""), *key = value_get_str(rule, "key", "");
	const struct value *values = value_get(rule, "values");
	const bool in = strcmp(op, "In") == 0;

	if (key[0] == '\0')
		return false;
	buf_puts(to, to->len > 0 ? "," : "");
	if (strcmp(op, "Exists") == 0 || strcmp(op, "DoesNotExist") == 0) {
		buf_printf(to, "%s%s", op[0] == 'E' ? "" : "!", key);
		return true;
	}
	if ((!in && strcmp(op, "NotIn") != 0) || values == NULL || values->kind != V_LIST)
		return false;
	buf_printf(to, "%s %s (", key, in ? "in" : "notin");
	for (uint32_t i = 0; i < values->len; i++)
		if (values->items[i].kind == V_STRING)
			buf_printf(to, "%s%s", i > 0 ? "," : "", values->items[i].s);
	buf_puts(to, ")");
	return true;
}

const char *
kube_object_selector(struct arena *a, const struct value *object)
{
	const struct value *selector = kube_object_get(object, "spec", "selector");
	const struct value *labels = selector != NULL ? value_get(selector, "matchLabels") : NULL;
	const struct value *rules = selector != NULL ? value_get(selector, "matchExpressions") : NULL;
	struct buf text = BUF_INIT(1 << 16);
	const char *ret;
	bool fine = true;

	if (labels == NULL && rules == NULL) /* of a Service or ReplicationController: the labels themselves */
		labels = selector;
	for (uint32_t i = 0; labels != NULL && labels->kind == V_MAP && i < labels->len; i++) {
		fine = fine && labels->pairs[i].v.kind == V_STRING;
		buf_printf(&text, "%s%s=%s", text.len > 0 ? "," : "", labels->pairs[i].key,
			   labels->pairs[i].v.kind == V_STRING ? labels->pairs[i].v.s : "");
	}
	for (uint32_t i = 0; rules != NULL && rules->kind == V_LIST && i < rules->len; i++)
		fine = put_rule(&text, &rules->items[i]) && fine;
	ret = fine && !text.failed && text.len > 0 ? arena_strdup(a, text.p) : NULL;
	buf_done(&text);
	return ret;
}

int
kube_check_marks(const char *what, const struct value *marks, struct err *err)
{
	if (marks->kind != V_MAP)
		return 0;
	if (marks->len == 0)
		return err_set(err, ERR_PLAN, "%s is empty: nothing to do", what);
	for (uint32_t i = 0; i < marks->len; i++) {
		const struct pair *p = &marks->pairs[i];
		const char *name = strrchr(p->key, '/');
		const size_t len = strlen(name != NULL ? name + 1 : p->key);

		if (len == 0 || len > 63 || p->key[strspn(p->key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")] != '\0')
			return err_set(err, ERR_PLAN, "%s: '%.200s' is not a key: PREFIX/NAME or NAME, of at most 63 letters, digits, '-', "
				       "'_' and '.'", what, p->key);
		if (p->v.kind != V_STRING && p->v.kind != V_NULL && p->v.kind != V_UNKNOWN && p->v.kind != V_SECRET)
			return err_set(err, ERR_PLAN, "%s: '%.200s' must be a text, or null to remove it (quote numbers and booleans)", what,
				       p->key);
	}
	return 0;
}

/* "-" and numbers: places in a list, or members of a map that are called so; nobody can tell from outside. */
static bool
may_be_index(const char *path)
{
	const char *last = strrchr(path, '/');

	return last != NULL && (strcmp(last, "/-") == 0 || last[1 + strspn(last + 1, "0123456789")] == '\0');
}

int
kube_check_json_patch(const struct value *patch, bool *ret_repeatable, struct err *err)
{
	static const char *const ops[] = { "add", "remove", "replace", "test", "move", "copy" };

	*ret_repeatable = true;
	if (patch->kind == V_LIST && patch->len == 0)
		return err_set(err, ERR_PLAN, "json is empty: nothing to do");
	for (uint32_t i = 0; patch->kind == V_LIST && i < patch->len; i++) {
		const struct value *one = &patch->items[i], *path = value_get(one, "path");
		const char *op = value_get_str(one, "op", "");

		if ((one->flags & VF_UNKNOWN) != 0 && (one->kind == V_UNKNOWN || path == NULL || path->kind == V_UNKNOWN))
			continue;
		if (!is_one_of(op, ops, countof(ops)))
			return err_set(err, ERR_PLAN, "json: operation %u has no op that RFC 6902 knows", i + 1);
		if (path == NULL || path->kind != V_STRING || (path->len > 0 && path->s[0] != '/'))
			return err_set(err, ERR_PLAN, "json: the path of operation %u does not begin with '/'", i + 1);
		if (op[0] == 'm' || op[0] == 'c' ? value_get(one, "from") == NULL : op[2] != 'm' && value_get(one, "value") == NULL)
			return err_set(err, ERR_PLAN, "json: operation %u (%s) has no %s", i + 1, op,
				       op[0] == 'm' || op[0] == 'c' ? "from" : "value");
		if (strcmp(op, "replace") != 0 && strcmp(op, "test") != 0 && (strcmp(op, "add") != 0 || may_be_index(path->s)))
			*ret_repeatable = false;
	}
	return 0;
}
