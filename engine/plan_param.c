/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the declarations of `params`: what each may say, by a table, and the rules between its parts. */
#include "plan_load.h"

#include <float.h>
#include <regex.h>
#include <string.h>

#include "base/text.h"

/* The types that people write, in one order with their meaning. */
static const char *const type_words[] = { "string",   "integer", "number", "boolean", "path", "url",
					  "duration", "size",    "list",   "map",     NULL };
static const enum field_type types[] = { F_STRING, F_INT,      F_NUMBER, F_BOOL, F_PATH,
					 F_URL,    F_DURATION, F_SIZE,   F_LIST, F_MAP };

struct decl {
	const char *type, *items, *pattern, *help, *env;
	const struct value *choices, *min, *max, *dflt;
	bool required, secret;
};
const struct field language_param_fields[] = {
	{ .name = "type", .type = F_STRING, .offset = offsetof(struct decl, type),
	  .required = true, .choices = type_words, .help = "what the value is" },
	{ .name = "items", .type = F_STRING, .offset = offsetof(struct decl, items),
	  .choices = type_words, .help = "type of the items of a list" },
	{ .name = "enum", .type = F_LIST, .item = F_STRING,
	  .offset = offsetof(struct decl, choices), .help = "the texts to choose from" },
	{ .name = "pattern", .type = F_STRING, .offset = offsetof(struct decl, pattern),
	  .help = "extended regular expression that the text matches" },
	{ .name = "min", .type = F_ANY, .offset = offsetof(struct decl, min),
	  .help = "least value" },
	{ .name = "max", .type = F_ANY, .offset = offsetof(struct decl, max),
	  .help = "greatest value" },
	{ .name = "required", .type = F_BOOL, .offset = offsetof(struct decl, required),
	  .help = "must be given" },
	{ .name = "default", .type = F_ANY, .offset = offsetof(struct decl, dflt),
	  .help = "value when none is given" },
	{ .name = "help", .type = F_STRING, .offset = offsetof(struct decl, help),
	  .help = "one sentence for people" },
	{ .name = "env", .type = F_STRING, .offset = offsetof(struct decl, env),
	  .pattern = "^[A-Za-z_][A-Za-z0-9_]*$", .help = "environment variable to take it from" },
	{ .name = "secret", .type = F_BOOL, .offset = offsetof(struct decl, secret),
	  .help = "never printed or kept" },
	{ 0 },
};

static enum field_type
type_of(const char *word)
{
	for (size_t i = 0; i < countof(types); i++)
		if (strcmp(word, type_words[i]) == 0)
			return types[i];
	return F_STRING;
}

/* What is being declared: problems go to the place of one of its keys. */
struct at {
	struct loader *l;
	const struct node *map;
	const char *name;
};

static void
refuse(const struct at *at, const char *key, const char *why)
{
	const struct node *n = node_get(at->map, key);

	problems_add(at->l->problems, plan_pos(at->l, n != NULL ? n : at->map), NULL,
		     "param '%s': %s", at->name, why);
}

/* A limit is a value of the param's own type. */
static double
read_limit(const struct at *at, const struct field *f, const char *key, const struct value *v,
	   double none)
{
	struct field limit = { .name = key, .type = f->type == F_LIST ? f->item : f->type };
	struct err err = ERR_INIT;
	struct value normal;
	int64_t ns = 0;

	if (v == NULL || v->kind == V_NULL)
		return none;
	if (limit.type != F_INT && limit.type != F_NUMBER && limit.type != F_SIZE &&
	    limit.type != F_DURATION) {
		refuse(at, key, "'min' and 'max' are for integer, number, size and duration");
		return none;
	}
	if (schema_value(&limit, v, &at->l->plan->arena, &normal, &err) < 0) {
		refuse(at, key, err.msg);
		return none;
	}
	if (limit.type == F_DURATION && duration_parse(normal.s, &ns) == 0)
		return (double)ns;
	return normal.kind == V_INT ? (double)normal.i : normal.n;
}

static void
read_limits(const struct at *at, const struct decl *d, struct field *f)
{
	if (d->min == NULL && d->max == NULL)
		return;
	f->min = read_limit(at, f, "min", d->min, -DBL_MAX);
	f->max = read_limit(at, f, "max", d->max, DBL_MAX);
	if (f->max < f->min)
		refuse(at, "max", "'max' is less than 'min'");
}

static void
read_texts(const struct at *at, const struct decl *d, struct field *f)
{
	const enum field_type type = f->type == F_LIST ? f->item : f->type;
	const char **choices;
	regex_t re;

	if ((d->pattern != NULL || d->choices != NULL) && type != F_STRING && type != F_PATH &&
	    type != F_URL)
		refuse(at, d->pattern != NULL ? "pattern" : "enum",
		       "'pattern' and 'enum' are for string, path and url");
	if (d->pattern != NULL) {
		if (regcomp(&re, d->pattern, REG_EXTENDED | REG_NOSUB) == 0)
			regfree(&re);
		else
			refuse(at, "pattern", "'pattern' is no extended regular expression");
		f->pattern = d->pattern;
	}
	if (d->choices == NULL)
		return;
	if (d->choices->len == 0)
		refuse(at, "enum", "'enum' has nothing to choose from");
	choices = arena_array(&at->l->plan->arena, (size_t)d->choices->len + 1, sizeof(*choices));
	for (uint32_t i = 0; i < d->choices->len; i++)
		choices[i] = d->choices->items[i].s;
	f->choices = choices;
}

static void
read_default(const struct at *at, const struct decl *d, struct param *p)
{
	const struct node *n = node_get(at->map, "default");
	const struct node pair[2] = { { .kind = NODE_SCALAR, .s = p->field.name },
				      n != NULL ? *n : (struct node){ 0 } };
	const struct node map = { .kind = NODE_MAP, .len = 1, .items = pair };
	const struct field fields[2] = { p->field, { 0 } };
	struct bytes largest;

	if (d->dflt == NULL || d->dflt->kind == V_NULL)
		return;
	if (d->secret) {
		refuse(at, "default", "a secret has no default");
		return;
	}
	if (d->required)
		refuse(at, "required", "'required' and 'default' exclude each other");
	if (schema_read(fields, &map, plan_pos(at->l, n), p->where.file, &at->l->scratch, &largest,
			at->l->problems) < 0)
		return;
	p->dflt = n;
	if (n->kind == NODE_SCALAR)
		p->field.dflt = n->s;
}

static void
read_decl(const struct at *at, struct param *p)
{
	struct loader *l = at->l;
	struct decl d = { 0 };
	struct field *f = &p->field;

	if (schema_read(language_param_fields, at->map, plan_pos(l, at->map), l->plan->file, &l->plan->arena,
			&d, l->problems) < 0)
		return;
	f->type = type_of(d.type);
	f->item = f->type != F_LIST ? F_ANY : d.items != NULL ? type_of(d.items) : F_STRING;
	f->required = d.required;
	f->help = d.help;
	p->env = d.env;
	if (d.items != NULL && (f->type != F_LIST || f->item == F_LIST))
		refuse(at, "items",
		       f->type != F_LIST ? "'items' is for lists"
					 : "lists of lists are not known here");
	read_limits(at, &d, f);
	read_texts(at, &d, f);
	if (d.secret && (f->type != F_STRING || f->pattern != NULL || f->choices != NULL))
		refuse(at, "secret", "a secret is a string without 'pattern' and 'enum'");
	if (d.secret)
		f->type = F_SECRET;
	f->secret = d.secret;
	read_default(at, &d, p);
}

void
plan_add_params(struct loader *l, const struct node *params)
{
	struct plan *plan = l->plan;
	struct node kept;

	if (params == NULL)
		return;
	kept = node_copy(&plan->arena, params);
	plan->params = arena_array(&plan->arena, kept.len, sizeof(*plan->params));
	for (uint32_t i = 0; i < kept.len; i++) {
		const struct node *name = &kept.items[2 * i], *map = name + 1;
		struct param *p = &plan->params[plan->nparams];

		p->field = (struct field){ .name = name->s, .item = F_ANY };
		p->where = plan_pos(l, name);
		(void)map_add(&l->param_index, name->s, name->len, (uint32_t)plan->nparams++);
		if (!text_is_name(name->s, name->len))
			problems_add(l->problems, p->where, NULL,
				     "param name '%.60s': expected [A-Za-z][A-Za-z0-9_-]{0,62}",
				     name->s);
		if (map->kind == NODE_MAP)
			read_decl(&(struct at){ l, map, name->s }, p);
		else
			problems_add(l->problems, plan_pos(l, map), NULL,
				     "param '%s': expected a map such as {type: string}", name->s);
	}
}
