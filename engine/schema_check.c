/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the static side of fields: what can be said about a map of the plan before anything runs. All problems are
 * collected, each at its own place; values that hold expressions are left to binding. */
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64 /* fields of one table; a test of the tables keeps below */

struct checker {
	const char *file;
	const char *(*target_kind)(void *data, const struct node *name);
	void *data;
	struct problems *problems;
};

static void check_value(const struct checker *c, const struct field *f, const struct node *n);

/* Text with an expression, but not one expression alone: its value is a string. */
static bool
is_mixed(const struct node *n)
{
	struct pos where;
	const char *src;
	size_t len;

	return template_whole(n, &src, &len, &where) != 1;
}

/* Refuse a list, a map or text with expressions by its kind alone. */
static void
refuse_kind(const struct checker *c, const struct field *f, const struct node *n)
{
	struct value shape = { .kind = n->kind == NODE_LIST ? V_LIST : V_MAP, .len = n->len },
		     normal;
	struct arena a = ARENA_INIT;
	struct err err = ERR_INIT;

	if (n->kind == NODE_SCALAR)
		shape = value_strn(n->s, n->len);
	if (schema_value(f, &shape, &a, &normal, &err) < 0)
		problems_add(c->problems, node_pos(n, c->file), NULL, "%s", err.msg);
	arena_done(&a);
}

static void
check_literal(const struct checker *c, const struct field *f, const struct node *n)
{
	struct arena a = ARENA_INIT;
	struct value v = node_value(&a, n), normal;
	struct err err = ERR_INIT;
	char text[24];
	bool other;

	(void)snprintf(text, sizeof(text), "%lld", v.kind == V_INT ? (long long)v.i : 0LL);
	if (schema_value(f, &v, &a, &normal, &err) < 0) {
		other = v.kind == V_NUMBER && strstr(err.msg, n->s) == NULL;
		problems_add(c->problems, node_pos(n, c->file), NULL,
			     other ? "%s (written %.60s)" : "%s", err.msg, n->s);
	} else if (v.kind == V_INT && normal.kind == V_STRING && strcmp(text, n->s) != 0) {
		problems_add(c->problems, node_pos(n, c->file), NULL,
			     "field '%s': expected a string, got the integer %s: quote it", f->name,
			     n->s);
	}
	arena_done(&a);
}

static void
check_scalar(const struct checker *c, const struct field *f, const struct node *n)
{
	if (!template_has_expr(n->s))
		check_literal(c, f, n);
	else if ((f->type == F_INT || f->type == F_NUMBER || f->type == F_BOOL) && is_mixed(n))
		refuse_kind(c, f, n);
}

static void
check_list(const struct checker *c, const struct field *f, const struct node *n)
{
	struct field item = *f;

	if (n->kind != NODE_LIST) {
		if (n->kind == NODE_MAP || (template_has_expr(n->s) && is_mixed(n)))
			refuse_kind(c, f, n);
		else if (!template_has_expr(n->s))
			check_literal(c, f, n);
		return;
	}
	item.type = f->item;
	item.item = F_ANY;
	item.required = true;
	for (uint32_t i = 0; i < n->len; i++)
		check_value(c, &item, &n->items[i]);
}

static void
check_map(const struct checker *c, const struct field *f, const struct node *n)
{
	if (n->kind == NODE_LIST ||
	    (n->kind == NODE_SCALAR && template_has_expr(n->s) && is_mixed(n)))
		refuse_kind(c, f, n);
	else if (n->kind == NODE_SCALAR && !template_has_expr(n->s))
		check_literal(c, f, n);
	else if (n->kind == NODE_MAP && f->members != NULL)
		schema_check(f->members, n, node_pos(n, c->file), c->file, c->target_kind, c->data, c->problems);
}

static void
check_secret(const struct checker *c, const struct field *f, const struct node *n)
{
	if (n->kind != NODE_SCALAR)
		refuse_kind(c, f, n);
	else if (!template_has_expr(n->s) && !(n->plain && n->len == 0))
		problems_add(c->problems, node_pos(n, c->file),
			     "take it from a param with 'secret: true'",
			     "field '%s': a secret must not be written in a plan", f->name);
}

static void
check_target(const struct checker *c, const struct field *f, const struct node *n)
{
	const char *kind;

	if (n->kind != NODE_SCALAR || template_has_expr(n->s)) {
		problems_add(c->problems, node_pos(n, c->file), NULL,
			     "field '%s': expected the name of a target", f->name);
		return;
	}
	kind = c->target_kind(c->data, n);
	if (kind != NULL && f->kind != NULL && strcmp(kind, f->kind) != 0)
		problems_add(c->problems, node_pos(n, c->file), NULL,
			     "field '%s': expected a target of kind %s, but '%s' is of kind %s",
			     f->name, f->kind, n->s, kind);
}

static void
check_call(const struct checker *c, const struct field *f, const struct node *n)
{
	const struct node *uses = node_get(n, "uses"), *with = node_get(n, "with");

	if (n->kind != NODE_MAP || uses == NULL || uses->kind != NODE_SCALAR ||
	    n->len != (with != NULL ? 2 : 1) || (with != NULL && with->kind != NODE_MAP))
		problems_add(c->problems, node_pos(n, c->file), NULL,
			     "field '%s': expected a step {uses: …, with: {…}}", f->name);
}

static void
check_value(const struct checker *c, const struct field *f, const struct node *n)
{
	switch (f->type) {
	case F_ANY:
		if (n->kind == NODE_SCALAR && !template_has_expr(n->s))
			check_literal(c, f, n);
		break;
	case F_LIST:
		check_list(c, f, n);
		break;
	case F_MAP:
		check_map(c, f, n);
		break;
	case F_SECRET:
		check_secret(c, f, n);
		break;
	case F_TARGET:
		check_target(c, f, n);
		break;
	case F_CALL:
		check_call(c, f, n);
		break;
	case F_EXPR:
		if (n->kind != NODE_SCALAR || is_mixed(n))
			problems_add(c->problems, node_pos(n, c->file), NULL,
				     "field '%s': expected one whole expression ${{ … }}", f->name);
		break;
	default:
		if (n->kind == NODE_SCALAR)
			check_scalar(c, f, n);
		else
			refuse_kind(c, f, n);
	}
}

static void
check_unknown(const struct checker *c, const struct field *fields, const struct node *key)
{
	const char *names[NAMES_MAX];
	struct buf known = BUF_INIT(300);
	size_t n = 0;

	if (fields->name == NULL)
		buf_puts(&known, "; there are none");
	for (const struct field *f = fields; f->name != NULL && n < NAMES_MAX; f++) {
		buf_printf(&known, "%s%s", n == 0 ? "; known: " : ", ", f->name);
		names[n++] = f->name;
	}
	problems_add_near(c->problems, node_pos(key, c->file), key->s, names, n,
			  "unknown field '%.60s'%s", key->s, known.p);
	buf_done(&known);
}

void
schema_check(const struct field *fields, const struct node *with, struct pos at, const char *file,
	     const char *(*target_kind)(void *data, const struct node *name), void *data,
	     struct problems *problems)
{
	const struct checker c = {
		.file = file, .target_kind = target_kind, .data = data, .problems = problems
	};
	const struct field *f;
	char type[32];

	for (uint32_t i = 0; i < with->len; i++) {
		f = schema_field(fields, with->items[2 * i].s);
		if (f == NULL)
			check_unknown(&c, fields, &with->items[2 * i]);
		else
			check_value(&c, f, &with->items[2 * i + 1]);
	}
	for (f = fields; f->name != NULL; f++)
		if (f->required && node_get(with, f->name) == NULL)
			problems_add(problems, at, f->help, "missing field '%s' (%s)", f->name,
				     field_type_name(f, type));
}

/* What is found or evaluated later stands there as something that nobody may look into. */
static bool
bind_later(const struct field *f, const struct node *n, void *args)
{
	static const char later[1];

	if (f == NULL || n->kind != NODE_SCALAR || (f->type != F_EXPR && (f->type != F_TARGET || !schema_is_literal(n))))
		return false;
	*(const void **)((char *)args + f->offset) = later;
	return true;
}

bool
schema_bind_literals(const struct field *fields, const struct node *with, struct arena *a,
		     void *args)
{
	const struct bind_env env = { 0 };
	struct node literal = { .kind = NODE_MAP },
		    *pairs = arena_array(a, (size_t)with->len * 2, sizeof(*pairs));
	const struct field *f;
	struct err err = ERR_INIT;
	uint32_t later = 0;

	literal.items = pairs;
	for (uint32_t i = 0; i < with->len; i++) {
		f = schema_field(fields, with->items[2 * i].s);
		later += bind_later(f, &with->items[2 * i + 1], args);
		if (f == NULL || f->type == F_TARGET || f->type == F_EXPR || f->type == F_CALL ||
		    !schema_is_literal(&with->items[2 * i + 1]))
			continue;
		pairs[2 * literal.len] = with->items[2 * i];
		pairs[2 * literal.len++ + 1] = with->items[2 * i + 1];
	}
	return schema_bind(fields, &literal, &env, a, args, NULL, &err) == 0 &&
	       literal.len + later == with->len;
}

static const char *
no_target(void *data, const struct node *name)
{
	(void)data;
	(void)name;
	return NULL;
}

static void
refuse_exprs(const struct node *n, const char *file, struct problems *problems)
{
	const size_t parts = n->kind == NODE_MAP    ? (size_t)n->len * 2
			     : n->kind == NODE_LIST ? n->len
						    : 0;

	for (size_t i = 0; i < parts; i++)
		refuse_exprs(&n->items[i], file, problems);
	if (n->kind == NODE_SCALAR && template_has_expr(n->s))
		problems_add(problems, node_pos(n, file), NULL, "no expression can stand here");
}

int
schema_read(const struct field *fields, const struct node *map, struct pos at, const char *file,
	    struct arena *a, void *args, struct problems *problems)
{
	const size_t before = problems->n + problems->dropped;

	schema_check(fields, map, at, file, no_target, NULL, problems);
	refuse_exprs(map, file, problems);
	(void)schema_bind_literals(fields, map, a, args);
	return problems->n + problems->dropped > before ? -1 : 0;
}
