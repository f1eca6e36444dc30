/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a parsed YAML node means: its copy, its place, its members, and the YAML 1.2 core schema, in which `no`,
 * `on` and `08` are strings. A number that cannot be kept exactly as an integer stays a string too. */
#include "yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t
node_parts(const struct node *n)
{
	return n->kind == NODE_MAP ? (size_t)n->len * 2 : n->kind == NODE_LIST ? n->len : 0;
}

static void
count(const struct node *n, size_t *nodes, size_t *bytes)
{
	const size_t parts = node_parts(n);

	if (n->kind == NODE_SCALAR)
		*bytes += (size_t)n->len + 1;
	*nodes += parts;
	for (size_t i = 0; i < parts; i++)
		count(&n->items[i], nodes, bytes);
}

static struct node
copy_into(const struct node *n, struct node **nodes, char **bytes)
{
	const size_t parts = node_parts(n);
	struct node copy = *n, *items = *nodes;

	if (n->kind == NODE_SCALAR) {
		copy.s = memcpy(*bytes, n->s, (size_t)n->len + 1);
		*bytes += (size_t)n->len + 1;
		return copy;
	}
	*nodes += parts;
	for (size_t i = 0; i < parts; i++)
		items[i] = copy_into(&n->items[i], nodes, bytes);
	copy.items = items;
	return copy;
}

struct node
node_copy(struct arena *a, const struct node *n)
{
	size_t nodes = 0, bytes = 0;
	struct node *at;
	char *text;

	count(n, &nodes, &bytes);
	at = arena_alloc(a, nodes * sizeof(*at) + bytes);
	text = (char *)(at + nodes);
	return copy_into(n, &at, &text);
}

const struct node *
node_get(const struct node *map, const char *key)
{
	if (map->kind != NODE_MAP)
		return NULL;
	for (uint32_t i = 0; i < map->len; i++)
		if (map->items[2 * i].kind == NODE_SCALAR && strcmp(map->items[2 * i].s, key) == 0)
			return &map->items[2 * i + 1];
	return NULL;
}

struct pos
node_pos(const struct node *n, const char *file)
{
	return (struct pos){ .file = file, .line = n->line, .col = n->col };
}

static bool
is_one_of(const char *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

/* [-+]?[0-9]+ without a leading zero, 0o[0-7]+, 0x[0-9a-fA-F]+, in the range of int64_t. */
static bool
parse_int(const char *s, int64_t *ret)
{
	const char *digits = s, *allowed = "0123456789";
	int base = 10;
	char *end;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
		base = s[1] == 'x' ? 16 : 8;
		allowed = base == 16 ? "0123456789abcdefABCDEF" : "01234567";
		digits = s + 2;
	} else {
		digits += *s == '-' || *s == '+';
		if (digits[0] == '0' && digits[1] != '\0')
			return false;
	}
	if (*digits == '\0' || digits[strspn(digits, allowed)] != '\0')
		return false;
	errno = 0;
	*ret = strtoll(base == 10 ? s : digits, &end, base);
	return errno == 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? with a point or an exponent; finite. */
static bool
parse_number(const char *s, double *ret)
{
	const char *p = s + (*s == '-' || *s == '+'), *start = p;
	size_t whole = strspn(p, "0123456789"), part = 0;
	bool real = false;

	p += whole;
	if (whole > 1 && *start == '0')
		return false;
	if (*p == '.') {
		part = strspn(p + 1, "0123456789");
		p += 1 + part;
		real = true;
	}
	if (whole + part == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p += 1 + (p[1] == '-' || p[1] == '+');
		part = strspn(p, "0123456789");
		if (part == 0)
			return false;
		p += part;
		real = true;
	}
	if (!real || *p != '\0')
		return false;
	*ret = strtod(s, NULL);
	return isfinite(*ret);
}

static struct value
scalar_value(const struct node *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };
	double number;
	int64_t i;

	if (n->plain) {
		if (is_one_of(n->s, nulls))
			return VALUE_NULL;
		if (is_one_of(n->s, trues))
			return value_bool(true);
		if (is_one_of(n->s, falses))
			return value_bool(false);
		if (parse_int(n->s, &i))
			return value_int(i);
		if (parse_number(n->s, &number))
			return value_number(number);
	}
	return value_strn(n->s, n->len);
}

struct value
node_value(struct arena *a, const struct node *n)
{
	struct value *items;
	struct pair *pairs;

	switch (n->kind) {
	case NODE_LIST:
		items = arena_array(a, n->len, sizeof(*items));
		for (uint32_t i = 0; i < n->len; i++)
			items[i] = node_value(a, &n->items[i]);
		return value_list(items, n->len);
	case NODE_MAP:
		pairs = arena_array(a, n->len, sizeof(*pairs));
		for (uint32_t i = 0; i < n->len; i++) {
			pairs[i].key = n->items[2 * i].s;
			pairs[i].v = node_value(a, &n->items[2 * i + 1]);
		}
		return value_map(pairs, n->len);
	default:
		return scalar_value(n);
	}
}
