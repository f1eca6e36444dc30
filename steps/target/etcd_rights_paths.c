/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the arithmetic of permissions: lists kept in one order, so that equal rights are equal values. Pure. */
#include "steps/target/etcd_rights_paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SHOWN 120

static const char *const may_words[] = { "read", "write", "readwrite" };

static int
by_range(const void *a, const void *b)
{
	const struct etcd_perm *x = a, *y = b;
	const int order = bytes_cmp(x->key, y->key);

	return order != 0 ? order : bytes_cmp(x->end, y->end);
}

void
etcd_perms_sort(struct etcd_perms *p)
{
	if (p->n > 1)
		qsort(p->list, p->n, sizeof(*p->list), by_range);
}

bool
etcd_perms_eq(const struct etcd_perms *a, const struct etcd_perms *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (by_range(&a->list[i], &b->list[i]) != 0 || a->list[i].may != b->list[i].may)
			return false;
	return true;
}

bool
etcd_perm_same_range(const struct etcd_perm *a, const struct etcd_perm *b)
{
	return by_range(a, b) == 0;
}

const struct etcd_perm *
etcd_perms_find(const struct etcd_perms *p, const struct etcd_perm *range)
{
	for (size_t i = 0; i < p->n; i++)
		if (by_range(&p->list[i], range) == 0)
			return &p->list[i];
	return NULL;
}

struct value
etcd_perms_value(struct arena *a, const struct etcd_perms *p)
{
	struct value *items = arena_array(a, p->n, sizeof(*items));

	for (size_t i = 0; i < p->n; i++) {
		const struct etcd_perm *e = &p->list[i];
		struct pair *m = arena_array(a, 3, sizeof(*m));

		m[0] = (struct pair){ "key", value_strn(e->key.p, e->key.len) };
		m[1] = (struct pair){ "end", value_strn(e->end.len > 0 ? e->end.p : "", e->end.len) };
		m[2] = (struct pair){ "may", value_str(may_words[e->may]) };
		items[i] = value_map(m, 3);
	}
	return value_list(items, p->n);
}

static bool
get_bytes(const struct value *m, const char *name, struct bytes *ret)
{
	const struct value *v = value_get(m, name);

	if (v == NULL || v->kind != V_STRING)
		return false;
	*ret = (struct bytes){ v->s, v->len };
	return true;
}

static int
parse_one(struct arena *a, const struct value *m, struct etcd_perm *ret)
{
	const char *may = value_get_str(m, "may", "");
	struct bytes prefix;
	size_t i = 0;

	while (i < countof(may_words) && strcmp(may, may_words[i]) != 0)
		i++;
	*ret = (struct etcd_perm){ .may = (enum etcd_may)i };
	if (i == countof(may_words))
		return -1;
	if (get_bytes(m, "prefix", &prefix)) {
		*ret = (struct etcd_perm){ etcd_range_start(prefix), etcd_prefix_end(a, prefix), (enum etcd_may)i };
		return value_get(m, "key") == NULL && value_get(m, "end") == NULL && m->len == 2 ? 0 : -1;
	}
	return get_bytes(m, "key", &ret->key) && ret->key.len > 0 && m->len == 2U + get_bytes(m, "end", &ret->end) ? 0 : -1;
}

int
etcd_perms_parse(struct arena *a, const struct value *list, struct etcd_perms *ret, struct err *err)
{
	if (list == NULL || list->kind == V_UNKNOWN || (list->flags & VF_UNKNOWN) != 0)
		return err_set(err, ERR_PREDICTED, "the permissions are not known");
	if (list->kind != V_LIST)
		return err_set(err, ERR_PLAN, "permissions: not a list");
	*ret = (struct etcd_perms){ arena_array(a, list->len, sizeof(*ret->list)), list->len };
	for (size_t i = 0; i < ret->n; i++) {
		if (parse_one(a, &list->items[i], &ret->list[i]) < 0)
			return err_set(err, ERR_PLAN, "permissions: item %zu is neither {prefix: TEXT, may: read|write|readwrite} "
				       "nor {key: TEXT, end: TEXT, may: …}", i + 1);
		for (size_t k = 0; k < i; k++)
			if (by_range(&ret->list[i], &ret->list[k]) == 0)
				return err_set(err, ERR_PLAN, "permissions: items %zu and %zu are of one range", k + 1, i + 1);
	}
	etcd_perms_sort(ret);
	return 0;
}

/* The end of the range as etcd_paths.h has it: a single key ends after itself. */
static struct bytes
end_of(struct arena *a, const struct etcd_perm *p)
{
	return p->end.len > 0 ? p->end : (struct bytes){ arena_strndup(a, p->key.p, p->key.len), p->key.len + 1 };
}

bool
etcd_perm_writes(const struct etcd_perm *p, struct bytes from, struct bytes to)
{
	struct arena a = ARENA_INIT;
	const bool writes = p->may != ETCD_MAY_READ && etcd_ranges_overlap(p->key, end_of(&a, p), from, to);

	arena_done(&a);
	return writes;
}

bool
etcd_perm_is_wider(const struct etcd_perm *p, struct bytes from, struct bytes to)
{
	struct arena a = ARENA_INIT;
	const bool within = bytes_cmp(from, p->key) <= 0 && etcd_end_cmp(end_of(&a, p), to) <= 0;

	arena_done(&a);
	return !within;
}

struct etcd_perms
etcd_perms_fenced(struct arena *a, const struct etcd_perms *now, struct bytes from, struct bytes to)
{
	struct etcd_perms p = { .list = arena_array(a, now->n, sizeof(*p.list)) };

	for (size_t i = 0; i < now->n; i++) {
		struct etcd_perm e = now->list[i];

		if (etcd_perm_writes(&e, from, to)) {
			if (e.may == ETCD_MAY_WRITE)
				continue;
			e.may = ETCD_MAY_READ;
			if (p.n > 0 && by_range(&p.list[p.n - 1], &e) == 0) /* older servers may hold a range twice */
				p.n--;
		}
		p.list[p.n++] = e;
	}
	return p;
}

struct etcd_perms
etcd_perms_with(struct arena *a, const struct etcd_perms *now, const struct etcd_perms *wanted, bool only)
{
	struct etcd_perms p = { .list = arena_array(a, now->n + wanted->n, sizeof(*p.list)) };

	for (size_t i = 0; i < wanted->n; i++)
		p.list[p.n++] = wanted->list[i];
	for (size_t i = 0; i < now->n && !only; i++)
		if (etcd_perms_find(wanted, &now->list[i]) == NULL)
			p.list[p.n++] = now->list[i];
	etcd_perms_sort(&p);
	return p;
}

const char *
etcd_perm_text(struct arena *a, const struct etcd_perm *p)
{
	const char *key = text_safe(a, p->key.p, p->key.len, SHOWN);
	struct bytes end = etcd_prefix_end(a, p->key);

	if (p->end.len == 0)
		return arena_printf(a, "key '%s'", key);
	if (etcd_range_is_open(p->end))
		return p->key.len == 1 && *(const char *)p->key.p == '\0' ? "all keys" : arena_printf(a, "'%s' and all after it", key);
	if (bytes_eq(end, p->end))
		return arena_printf(a, "'%s*'", key);
	return arena_printf(a, "'%s' to '%s'", key, text_safe(a, p->end.p, p->end.len, SHOWN));
}
