/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what the paths of kind `helm` mean, and how values are put over one another as helm does it. */
#include "steps/target/helm_paths.h"

#include <ctype.h>
#include <string.h>

#define RELEASE_MAX 53
#define NAMESPACE_MAX 63

int
helm_paths_check(const char *release, struct err *err)
{
	const size_t len = strlen(release);

	if (len == 0 || len > RELEASE_MAX || release[strspn(release, "abcdefghijklmnopqrstuvwxyz0123456789-.")] != '\0' ||
	    !isalnum((unsigned char)release[0]) || !isalnum((unsigned char)release[len - 1]))
		return err_set(err, ERR_PLAN, "'%.60s' cannot be the name of a release: up to 53 of a-z, 0-9, '-' and '.'", release);
	return 0;
}

int
helm_paths_parse(struct arena *a, const char *path, struct helm_paths *ret, struct err *err)
{
	const char *from, *slash;

	*ret = (struct helm_paths){ 0 };
	if (strncmp(path, "chart/", 6) == 0 && path[6] != '\0') {
		ret->chart = path + 6;
		return 0;
	}
	from = strncmp(path, "release/", 8) == 0 ? path + 8 : NULL;
	slash = from != NULL ? strchr(from, '/') : NULL;
	if (slash == NULL)
		return err_set(err, ERR_PLAN, "'%.100s' is neither release/NAMESPACE/NAME nor chart/PATH", path);
	ret->namespace = arena_strndup(a, from, (size_t)(slash - from));
	ret->release = slash + 1;
	if (strlen(ret->namespace) > NAMESPACE_MAX || ret->namespace[strspn(ret->namespace, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		return err_set(err, ERR_PLAN, "'%.80s' cannot be the name of a namespace", ret->namespace);
	return helm_paths_check(ret->release, err);
}

const char *
helm_paths_release(struct arena *a, const char *namespace, const char *release)
{
	return arena_printf(a, "release/%s/%s", namespace != NULL ? namespace : "", release);
}

const char *
helm_paths_chart(struct arena *a, const char *chart)
{
	return arena_printf(a, "chart/%s", chart);
}

bool
helm_paths_pending(const char *status)
{
	return strncmp(status, "pending-", strlen("pending-")) == 0;
}

struct value
helm_paths_merge(struct arena *a, const struct value *under, const struct value *over)
{
	struct pair *pairs;
	size_t n = 0;

	if (over->kind == V_UNKNOWN || under->kind != V_MAP || over->kind != V_MAP)
		return *over;
	pairs = arena_array(a, (size_t)under->len + over->len, sizeof(*pairs));
	for (uint32_t i = 0; i < under->len; i++) {
		const struct value *v = value_get(over, under->pairs[i].key);

		pairs[n++] = (struct pair){ under->pairs[i].key, v != NULL ? helm_paths_merge(a, &under->pairs[i].v, v) : under->pairs[i].v };
	}
	for (uint32_t i = 0; i < over->len; i++)
		if (value_get(under, over->pairs[i].key) == NULL)
			pairs[n++] = over->pairs[i];
	return value_map(pairs, n);
}

/* The first name of a dotted key, without its backslashes; *key moves behind it, to the end where it was the last. */
static const char *
first_name(struct arena *a, const char **key)
{
	char *name = arena_alloc(a, strlen(*key) + 1);
	const char *s = *key;
	size_t n = 0;

	for (; *s != '\0' && *s != '.'; s++) {
		if (*s == '\\' && s[1] != '\0')
			s++;
		name[n++] = *s;
	}
	*key = s;
	return name;
}

static int
spread_one(struct arena *a, const char *whole, const char *key, const struct value *v, struct value *ret, struct err *err)
{
	struct pair *pair = arena_alloc(a, sizeof(*pair));

	pair->key = first_name(a, &key);
	if (pair->key[0] == '\0' || strpbrk(pair->key, "[]") != NULL)
		return err_set(err, ERR_PLAN, "set: '%.100s' is no name of a value (of a list give the whole one)", whole);
	pair->v = *v;
	if (*key == '.' && spread_one(a, whole, key + 1, v, &pair->v, err) < 0)
		return -1;
	*ret = value_map(pair, 1);
	return 0;
}

int
helm_paths_spread(struct arena *a, const struct value *set, struct value *ret, struct err *err)
{
	struct value one;

	*ret = value_map(NULL, 0);
	for (uint32_t i = 0; set != NULL && set->kind == V_MAP && i < set->len; i++) {
		if (spread_one(a, set->pairs[i].key, set->pairs[i].key, &set->pairs[i].v, &one, err) < 0)
			return -1;
		*ret = helm_paths_merge(a, ret, &one);
	}
	return 0;
}

static bool
is_secret_name(const char *key)
{
	static const char *const words[] = { "password", "passphrase", "secret", "token", "credential", "privatekey" };

	for (size_t i = 0; i < countof(words); i++)
		if (strcasestr(key, words[i]) != NULL)
			return true;
	return false;
}

static struct value
as_secret(struct arena *a, const struct value *v, const char *where)
{
	struct secret *s = arena_alloc(a, sizeof(*s));

	*s = (struct secret){ .where = where, .len = v->len, .content = arena_strndup(a, v->s, v->len) };
	return value_secret(s);
}

struct value
helm_paths_hide(struct arena *a, const struct value *values, const char *where)
{
	struct pair *pairs;
	struct value *items;

	if (values->kind == V_LIST) {
		items = arena_array(a, values->len, sizeof(*items));
		for (uint32_t i = 0; i < values->len; i++)
			items[i] = helm_paths_hide(a, &values->items[i], where);
		return value_list(items, values->len);
	}
	if (values->kind != V_MAP)
		return *values;
	pairs = arena_array(a, values->len, sizeof(*pairs));
	for (uint32_t i = 0; i < values->len; i++) {
		const struct pair *p = &values->pairs[i];
		const char *at = arena_printf(a, "%s.%s", where, p->key);

		pairs[i] = (struct pair){ p->key, p->v.kind == V_STRING && p->v.len > 0 && is_secret_name(p->key) ?
			as_secret(a, &p->v, at) : helm_paths_hide(a, &p->v, at) };
	}
	return value_map(pairs, values->len);
}
