/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the notation of label selectors: requirements with commas between, each of which has to hold. */
#include "steps/kube_labels.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define LABEL "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define VALUES_MAX 100 /* of one requirement */

struct cursor {
	struct arena *a;
	const char *text, *p;
};

static int
wrong(const struct cursor *c, struct err *err)
{
	return err_set(err, ERR_PLAN, "selector: '%s' is no label selector from '%s' on: app=web, app!=web, app in (web, api), app notin "
		       "(web), app, !app, with commas between", text_safe(c->a, c->text, strlen(c->text), 150),
		       text_safe(c->a, c->p, strlen(c->p), 50));
}

static void
skip(struct cursor *c)
{
	c->p += strspn(c->p, " ");
}

static bool
takes(struct cursor *c, const char *word)
{
	const size_t len = strlen(word);

	skip(c);
	if (strncmp(c->p, word, len) != 0 || (isalpha((unsigned char)word[0]) && c->p[len] != ' ' && c->p[len] != '('))
		return false;
	c->p += len;
	return true;
}

/* A key or value: of these characters, beginning and ending with a letter or digit. */
static const char *
word(struct cursor *c, const char *characters)
{
	const char *begin;
	size_t len;

	skip(c);
	begin = c->p;
	len = strspn(begin, characters);
	if (len == 0 || len > 317 || !isalnum((unsigned char)begin[0]) || !isalnum((unsigned char)begin[len - 1]))
		return NULL;
	c->p += len;
	return arena_strndup(c->a, begin, len);
}

/* "(a, b)", or where brackets is not set the one value of an equality, which may be empty. */
static int
values(struct cursor *c, bool brackets, struct value *ret, struct err *err)
{
	struct value *items = arena_array(c->a, VALUES_MAX, sizeof(*items));
	uint32_t n = 0;

	if (brackets && !takes(c, "("))
		return wrong(c, err);
	do {
		const char *one = n < VALUES_MAX ? word(c, LABEL) : NULL;

		if (n == VALUES_MAX || (one == NULL && *c->p != '\0' && strchr(",)", *c->p) == NULL) || (one == NULL && brackets))
			return wrong(c, err);
		items[n++] = value_str(one != NULL ? one : "");
	} while (brackets && takes(c, ","));
	if (brackets && !takes(c, ")"))
		return wrong(c, err);
	*ret = value_list(items, n);
	return 0;
}

static int
requirement(struct cursor *c, struct value *ret, struct err *err)
{
	struct pair *pairs = arena_array(c->a, 3, sizeof(*pairs));
	const bool absent = takes(c, "!");
	const char *key = word(c, LABEL "/"), *op = absent ? "DoesNotExist" : "Exists";
	uint32_t n = 2;
	int rc = 0;

	if (key == NULL)
		return wrong(c, err);
	pairs[2] = (struct pair){ "values", VALUE_NULL };
	if (absent)
		;
	else if (takes(c, "!="))
		rc = values(c, false, &pairs[n++].v, err), op = "NotIn";
	else if (takes(c, "==") || takes(c, "="))
		rc = values(c, false, &pairs[n++].v, err), op = "In";
	else if (takes(c, "in"))
		rc = values(c, true, &pairs[n++].v, err), op = "In";
	else if (takes(c, "notin"))
		rc = values(c, true, &pairs[n++].v, err), op = "NotIn";
	pairs[0] = (struct pair){ "key", value_str(key) };
	pairs[1] = (struct pair){ "operator", value_str(op) };
	*ret = value_map(pairs, n);
	return rc;
}

int
kube_labels_parse(struct arena *a, const char *text, struct value *ret, struct err *err)
{
	struct cursor c = { .a = a, .text = text, .p = text };
	struct value *items = arena_array(a, strlen(text) + 1, sizeof(*items));
	struct pair *all = arena_alloc(a, sizeof(*all));
	size_t n = 0;

	do
		if (requirement(&c, &items[n++], err) < 0)
			return -1;
	while (takes(&c, ","));
	skip(&c);
	if (*c.p != '\0')
		return wrong(&c, err);
	*all = (struct pair){ "matchExpressions", value_list(items, n) };
	*ret = value_map(all, 1);
	return 0;
}

static bool
holds(const struct value *list, const char *text)
{
	for (uint32_t i = 0; list != NULL && list->kind == V_LIST && i < list->len; i++)
		if (list->items[i].kind == V_STRING && strcmp(list->items[i].s, text) == 0)
			return true;
	return false;
}

/* May key have this value, after all requirements? */
static bool
fits(const struct value *rules, const char *key, const char *text)
{
	for (uint32_t i = 0; i < rules->len; i++) {
		const char *op = value_get_str(&rules->items[i], "operator", "");
		const bool in = strcmp(op, "In") == 0;

		if (strcmp(value_get_str(&rules->items[i], "key", ""), key) != 0 || strcmp(op, "Exists") == 0)
			continue;
		if (strcmp(op, "DoesNotExist") == 0 || holds(value_get(&rules->items[i], "values"), text) != in)
			return false;
	}
	return true;
}

/* A value that key may have, or NULL. */
static const char *
value_for(struct arena *a, const struct value *rules, const char *key)
{
	uint32_t excluded = 0;

	for (uint32_t i = 0; i < rules->len; i++) {
		const struct value *list = value_get(&rules->items[i], "values");

		if (list == NULL || list->kind != V_LIST || strcmp(value_get_str(&rules->items[i], "key", ""), key) != 0)
			continue;
		for (uint32_t k = 0; k < list->len; k++)
			if (list->items[k].kind == V_STRING && fits(rules, key, list->items[k].s))
				return list->items[k].s;
		excluded += list->len;
	}
	for (uint32_t i = 0; i <= excluded; i++) {
		const char *some = arena_printf(a, "v%u", i);

		if (fits(rules, key, some))
			return some;
	}
	return NULL;
}

static bool
needs_key(const struct value *rule)
{
	const char *op = value_get_str(rule, "operator", "");

	return strcmp(op, "In") == 0 || strcmp(op, "Exists") == 0;
}

const char *
kube_labels_example(struct arena *a, const struct value *selector)
{
	const struct value *rules = value_get(selector, "matchExpressions");
	const char *ret = "";

	for (uint32_t i = 0; rules != NULL && rules->kind == V_LIST && i < rules->len; i++) {
		const char *key = value_get_str(&rules->items[i], "key", ""), *some;
		uint32_t first = 0;

		while (!needs_key(&rules->items[first]) || strcmp(value_get_str(&rules->items[first], "key", ""), key) != 0)
			if (++first > i)
				break;
		if (first != i)
			continue;
		some = value_for(a, rules, key);
		if (some == NULL)
			return NULL;
		ret = arena_printf(a, "%s%s%s=%s", ret, ret[0] != '\0' ? "," : "", key, some);
	}
	return ret;
}
